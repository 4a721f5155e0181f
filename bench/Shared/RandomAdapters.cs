using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;

namespace Eigengate.Bench;

/// <summary>Adapters with random weights on the query, key and value projections of every layer.</summary>
/// <param name="config">The base model.</param>
/// <param name="strength">
/// Standard deviation of what an adapter adds to an output, for inputs of deviation 1. Small by default, so that any number of adapters
/// leaves the activations in range.
/// </param>
internal sealed class RandomAdapters(ModelConfig config, double strength = 0.1)
{
    private readonly (string Name, int Out)[] _shapes = [("q_proj", config.QueryWidth), ("k_proj", config.KvWidth), ("v_proj", config.KvWidth)];

    private IEnumerable<(string Name, int Out)> Modules =>
        from layer in Enumerable.Range(0, config.Layers) from shape in _shapes select ($"model.layers.{layer}.self_attn.{shape.Name}", shape.Out);

    /// <summary>Bases of one cluster, of columns of length 1, for <see cref="Inference.Engine.AddCluster"/>.</summary>
    public Dictionary<string, ClusterBasis> Cluster(int rank, int seed)
    {
        var random = new Random(seed);
        return Modules.ToDictionary(m => m.Name, m => new ClusterBasis(
            Values(random, m.Out * rank, 1 / Math.Sqrt(m.Out)), Values(random, config.HiddenSize * rank, 1 / Math.Sqrt(config.HiddenSize)), m.Out, config.HiddenSize, rank, rank));
    }

    /// <summary>A compressed adapter: cores on the bases of a cluster.</summary>
    public AdapterWeights Compressed(string id, string cluster, IReadOnlyDictionary<string, ClusterBasis> bases, int seed)
    {
        var random = new Random(seed);
        return new AdapterWeights(id, "1", cluster, bases.ToDictionary(
            b => b.Key, b => Values(random, b.Value.RU * b.Value.RV, strength * Math.Sqrt(b.Value.DOut / ((double)b.Value.RU * b.Value.RV)))));
    }

    /// <summary>An uncompressed adapter, to be served exactly or merged. With <c>with { Id = … }</c> it is another one over the same host memory.</summary>
    public AdapterWeights Exact(string id, int rank, int seed)
    {
        var random = new Random(seed);
        return AdapterWeights.Exact(id, "1", Modules.ToDictionary(m => m.Name, m => new LoraFactors(
            Values(random, rank * config.HiddenSize, 1 / Math.Sqrt(config.HiddenSize)), Values(random, m.Out * rank, strength / Math.Sqrt(rank)), m.Out, config.HiddenSize, rank, 1)));
    }

    /// <summary>Bytes of the engine's adapter pool that one exact adapter of this rank takes.</summary>
    /// <param name="elementBytes">4 for float32, 2 for bfloat16.</param>
    public long ExactBytes(int rank, int elementBytes) => Modules.Sum(m => (long)rank * (config.HiddenSize + m.Out) * elementBytes);

    private static float[] Values(Random random, int count, double deviation)
    {
        float width = (float)(deviation * Math.Sqrt(12));
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = (random.NextSingle() - 0.5f) * width;
        return values;
    }
}
