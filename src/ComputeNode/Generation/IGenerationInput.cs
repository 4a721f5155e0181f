using Eigengate.ComputeNode.Requests;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>What one request wants generated, whichever endpoint it came to.</summary>
internal interface IGenerationInput
{
    GenerationFields Fields { get; }

    /// <summary>The prompts, as the model reads them.</summary>
    /// <exception cref="ApiException">This model cannot take them.</exception>
    IReadOnlyList<PromptInput> PromptsFor(ServedModel model, CancellationToken cancel);

    /// <summary>What every answer to this prompt begins with; usually nothing.</summary>
    string EchoOf(EncodedPrompt prompt);
}
