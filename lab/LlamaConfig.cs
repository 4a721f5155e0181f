namespace Eigengate.Lab;

/// <summary>Shape of the base model; the names follow a Hugging Face config.json.</summary>
public sealed record LlamaConfig
{
    public int VocabularySize { get; init; } = CharTokenizer.VocabularySize;
    public int HiddenSize { get; init; } = 128;
    public int IntermediateSize { get; init; } = 384;
    public int Layers { get; init; } = 4;
    public int Heads { get; init; } = 4;
    public int KeyValueHeads { get; init; } = 2;
    public int HeadSize { get; init; } = 32;
    public int MaxPositions { get; init; } = 256;
    public float NormEpsilon { get; init; } = 1e-5f;
    public float RopeTheta { get; init; } = 10000f;

    /// <summary>Output width of a projection that an adapter may change.</summary>
    public int OutputSize(string module) => (module == "q_proj" ? Heads : KeyValueHeads) * HeadSize;
}
