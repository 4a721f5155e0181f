using System.Text.Json;

namespace Eigengate.ChatTemplates;

/// <summary>
/// The chat templates that come with a model, and the special tokens they print. A model has one template named
/// <c>default</c>, or several.
/// </summary>
public sealed class ChatTemplateFile
{
    private const string DefaultName = "default";
    private const string ToolUseName = "tool_use";

    private ChatTemplateFile(IReadOnlyDictionary<string, ChatTemplate> templates, IReadOnlyDictionary<string, string> specialTokens)
    {
        Templates = templates;
        SpecialTokens = specialTokens;
    }

    public IReadOnlyDictionary<string, ChatTemplate> Templates { get; }

    /// <summary>Special tokens by variable name, such as <c>bos_token</c>: to be passed to every rendering.</summary>
    public IReadOnlyDictionary<string, string> SpecialTokens { get; }

    public string? BosToken => SpecialTokens.GetValueOrDefault("bos_token");

    public string? EosToken => SpecialTokens.GetValueOrDefault("eos_token");

    /// <summary>
    /// Reads chat_template.jinja, else the <c>chat_template</c> of tokenizer_config.json, else chat_template.json; also
    /// additional_chat_templates/*.jinja. Null when the directory has no template.
    /// </summary>
    /// <exception cref="ChatTemplateException">A file is malformed; the message names it.</exception>
    public static ChatTemplateFile? Load(string modelDirectory)
    {
        ArgumentNullException.ThrowIfNull(modelDirectory);
        var sources = new Dictionary<string, string>(StringComparer.Ordinal);
        var tokens = new Dictionary<string, string>(StringComparer.Ordinal);
        string jinja = Path.Combine(modelDirectory, "chat_template.jinja");
        if (File.Exists(jinja))
            sources[DefaultName] = File.ReadAllText(jinja);
        ReadJson(Path.Combine(modelDirectory, "tokenizer_config.json"), sources, tokens);
        ReadJson(Path.Combine(modelDirectory, "special_tokens_map.json"), sources, tokens);
        ReadJson(Path.Combine(modelDirectory, "chat_template.json"), sources, tokens);
        string additional = Path.Combine(modelDirectory, "additional_chat_templates");
        if (Directory.Exists(additional))
        {
            foreach (string file in Directory.EnumerateFiles(additional, "*.jinja").Order(StringComparer.Ordinal))
                sources[Path.GetFileNameWithoutExtension(file)] = File.ReadAllText(file);
        }

        if (sources.Count == 0)
            return null;
        return new ChatTemplateFile(
            sources.ToDictionary(s => s.Key, s => Parse(modelDirectory, s.Key, s.Value), StringComparer.Ordinal), tokens);
    }

    /// <summary>
    /// The template for a request: with tools the one named <c>tool_use</c> when there is one, otherwise the default.
    /// Null when neither exists.
    /// </summary>
    public ChatTemplate? Select(bool hasTools) =>
        (hasTools ? Templates.GetValueOrDefault(ToolUseName) : null)
        ?? Templates.GetValueOrDefault(DefaultName)
        ?? (Templates.Count == 1 ? Templates.Values.First() : null);

    private static void ReadJson(string path, Dictionary<string, string> sources, Dictionary<string, string> tokens)
    {
        if (!File.Exists(path))
            return;
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new ChatTemplateException($"{path}: expected a JSON object");
            ChatTemplates.SpecialTokens.AddTo(tokens, document.RootElement);
            if (document.RootElement.TryGetProperty("chat_template", out JsonElement templates))
                AddTemplates(path, templates, sources);
        }
        catch (JsonException malformed)
        {
            throw new ChatTemplateException($"{path}: {malformed.Message}", inner: malformed);
        }
    }

    private static void AddTemplates(string path, JsonElement templates, Dictionary<string, string> sources)
    {
        switch (templates.ValueKind)
        {
            case JsonValueKind.Null:
                break;
            case JsonValueKind.String:
                sources.TryAdd(DefaultName, templates.GetString()!);
                break;
            case JsonValueKind.Array:
                foreach (JsonElement entry in templates.EnumerateArray())
                    sources.TryAdd(Text(path, entry, "name"), Text(path, entry, "template"));
                break;
            default:
                throw new ChatTemplateException($"{path}: chat_template is a string or a list of names and templates");
        }
    }

    private static string Text(string path, JsonElement entry, string property) =>
        entry.ValueKind == JsonValueKind.Object
        && entry.TryGetProperty(property, out JsonElement value)
        && value.ValueKind == JsonValueKind.String
            ? value.GetString()!
            : throw new ChatTemplateException($"{path}: an entry of chat_template has no string '{property}'");

    private static ChatTemplate Parse(string directory, string name, string source)
    {
        try
        {
            return ChatTemplate.Parse(source);
        }
        catch (ChatTemplateException error)
        {
            throw new ChatTemplateException($"{directory}, template '{name}': {error.Message}", inner: error);
        }
    }
}
