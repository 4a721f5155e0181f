using Eigengate.ComputeNode.Requests;
using Eigengate.Inference.Tokenization;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>The base model as requests see it.</summary>
/// <param name="Names">Public names, the one for responses first.</param>
/// <param name="Root">Where the weights came from.</param>
/// <param name="Created">Unix seconds of loading.</param>
/// <param name="Tokenizer">Text to ids and back.</param>
/// <param name="VocabularySize">Width of the model's output; valid token ids are below it.</param>
/// <param name="MaxModelLength">Context length in tokens.</param>
/// <param name="Defaults">Sampling values for absent fields.</param>
internal sealed record ServedModel(
    IReadOnlyList<string> Names,
    string Root,
    long Created,
    Tokenizer Tokenizer,
    int VocabularySize,
    int MaxModelLength,
    GenerationDefaults Defaults)
{
    public string Name => Names[0];

    /// <summary>Shared by all requests.</summary>
    public ConstraintCache Constraints { get; } = new(Tokenizer);

    /// <summary>Null when the model came without a chat template.</summary>
    public ChatPrompts? Chat { get; init; }

    /// <summary>The text of a conversation, as the model was trained to read it.</summary>
    /// <exception cref="ApiException">There is no template, or it cannot render these messages.</exception>
    public string Render(ChatPrompt prompt, CancellationToken cancel) => Chat?.Render(prompt, cancel) ?? throw new ApiException(ApiError.BadRequest(
        $"The model `{Name}` has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json); only /v1/completions can be used.", "messages"));
}
