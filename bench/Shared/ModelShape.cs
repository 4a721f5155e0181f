namespace Eigengate.Bench;

/// <summary>The sizes of a Llama whose weights are random, since speed does not depend on them. All weights are bfloat16.</summary>
internal sealed record ModelShape(
    string Name, int Hidden, int Intermediate, int Layers, int Heads, int KvHeads, int HeadDim, int Vocabulary, int Context, bool Tied)
{
    public const float NormEpsilon = 1e-5f;
    public const float RopeTheta = 10000;

    /// <summary>Mistral 7B's, TinyLlama's, one of 135 million parameters, and one for tests; the largest first.</summary>
    public static IReadOnlyList<ModelShape> Known { get; } =
    [
        new("7b", 4096, 14336, 32, 32, 8, 128, 32000, 4096, Tied: false),
        new("1.1b", 2048, 5632, 22, 32, 4, 64, 32000, 2048, Tied: false),
        new("135m", 576, 1536, 30, 9, 3, 64, 49152, 2048, Tied: true),
        new("tiny", 48, 80, 2, 6, 2, 16, 160, 512, Tied: false),
    ];

    public int QueryWidth => Heads * HeadDim;

    public int KvWidth => KvHeads * HeadDim;

    /// <summary>Weights that every token is multiplied with.</summary>
    public long Multiplied => (Layers * ((2L * Hidden * (QueryWidth + KvWidth)) + (3L * Hidden * Intermediate))) + HeadWeights;

    /// <summary>Of these, the ones that only rows with wanted logits are multiplied with.</summary>
    public long HeadWeights => (long)Hidden * Vocabulary;

    /// <summary>Bytes that a decode step reads at least: each of these weights once.</summary>
    public long StepBytes => 2 * Multiplied;

    /// <summary>Every tensor of the checkpoint; vectors have one column.</summary>
    public IEnumerable<(string Name, int Rows, int Columns)> Tensors
    {
        get
        {
            yield return ("model.embed_tokens.weight", Vocabulary, Hidden);
            for (int i = 0; i < Layers; i++)
            {
                string layer = $"model.layers.{i}";
                yield return ($"{layer}.input_layernorm.weight", Hidden, 1);
                yield return ($"{layer}.self_attn.q_proj.weight", QueryWidth, Hidden);
                yield return ($"{layer}.self_attn.k_proj.weight", KvWidth, Hidden);
                yield return ($"{layer}.self_attn.v_proj.weight", KvWidth, Hidden);
                yield return ($"{layer}.self_attn.o_proj.weight", Hidden, QueryWidth);
                yield return ($"{layer}.post_attention_layernorm.weight", Hidden, 1);
                yield return ($"{layer}.mlp.gate_proj.weight", Intermediate, Hidden);
                yield return ($"{layer}.mlp.up_proj.weight", Intermediate, Hidden);
                yield return ($"{layer}.mlp.down_proj.weight", Hidden, Intermediate);
            }

            yield return ("model.norm.weight", Hidden, 1);
            if (!Tied)
                yield return ("lm_head.weight", Vocabulary, Hidden);
        }
    }

    /// <exception cref="ArgumentException">There is none of this name.</exception>
    public static ModelShape Named(string name) =>
        Known.FirstOrDefault(shape => shape.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            ?? throw new ArgumentException($"--shape is '{name}'; one of {string.Join(", ", Known.Select(shape => shape.Name))} was expected");
}
