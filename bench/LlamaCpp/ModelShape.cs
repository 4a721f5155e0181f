namespace Eigengate.LlamaCpp;

/// <summary>Sizes of a Llama model whose weights are drawn at random.</summary>
internal sealed record ModelShape(string Name, int Layers, int Hidden, int Heads, int KvHeads, int Intermediate, int Vocabulary, bool Tied)
{
    public const int MaxPositions = 2048;
    public const float NormEpsilon = 1e-5f;
    public const float RopeTheta = 10000;

    public static IReadOnlyList<ModelShape> Known { get; } =
    [
        new("135m", 30, 576, 9, 3, 1536, 49_152, Tied: true),
        new("1.1b", 22, 2048, 32, 4, 5632, 32_000, Tied: false),
    ];

    public int HeadDim => Hidden / Heads;

    public int KvWidth => KvHeads * HeadDim;

    /// <summary>Weights that every token is multiplied with; the embedding counts once, as the head.</summary>
    public long Multiplied => ((long)Layers * ((long)Hidden * (Hidden + (2 * KvWidth) + Hidden) + (3L * Hidden * Intermediate))) + HeadWeights;

    /// <summary>Of these, the ones that only rows with wanted logits are multiplied with.</summary>
    public long HeadWeights => (long)Hidden * Vocabulary;
}
