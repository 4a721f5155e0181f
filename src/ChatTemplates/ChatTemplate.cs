using Eigengate.ChatTemplates.Nodes;
using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates;

/// <summary>
/// A parsed chat template in the Jinja dialect of Hugging Face tokenizers (trim_blocks and lstrip_blocks on, loop
/// controls, no autoescape). Immutable: one instance serves any number of threads.
/// </summary>
public sealed class ChatTemplate
{
    private readonly Block _body;

    private ChatTemplate(string source, Block body)
    {
        Source = source;
        _body = body;
    }

    public string Source { get; }

    /// <exception cref="ChatTemplateException">Names the place and what was expected there.</exception>
    public static ChatTemplate Parse(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new ChatTemplate(source, TemplateParser.Parse(source));
    }

    /// <summary>
    /// Renders with the given top-level names. Values may be null, booleans, numbers, strings,
    /// <see cref="System.Text.Json.JsonElement"/>, <see cref="System.Text.Json.Nodes.JsonNode"/>, dictionaries with
    /// string keys and sequences of these. They are copied first: a template can never change the caller's objects.
    /// </summary>
    /// <exception cref="ChatTemplateRejection">The template called <c>raise_exception</c>.</exception>
    /// <exception cref="ChatTemplateLimitException">A limit of <paramref name="options"/> was passed.</exception>
    /// <exception cref="ChatTemplateException">The template does not work with these values.</exception>
    public string Render(
        IReadOnlyDictionary<string, object?> variables,
        RenderOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(variables);
        cancellationToken.ThrowIfCancellationRequested();
        var root = new Scope(Library.Globals.Scope);
        foreach ((string name, object? value) in variables)
            root.Set(name, ValueConverter.FromClr(value));
        var state = new RenderState(options ?? RenderOptions.Default, new Scope(root), cancellationToken);
        _body.Execute(state);
        return state.Output.ToString();
    }
}
