using Eigengate.ComputeNode.Requests;
using Eigengate.Inference.Tokenization;

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
}
