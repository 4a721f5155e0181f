using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;

namespace Eigengate.Bench.Serving.ManyAdapters;

internal enum BundleSizes
{
    /// <summary>Bases as wide as the adapters, in as many clusters as the paper takes where it has this rank.</summary>
    Rank16,

    /// <summary>The paper's, as the equal-memory table of its appendix E implies: bases up to rank 64, chosen for a width of 4096.</summary>
    Paper,
}

/// <summary>A number of random adapters on q, k and v, as a bundle of them would be: clusters with bases, and a core per adapter and module.</summary>
internal sealed class Population
{
    private readonly IReadOnlyDictionary<string, ClusterBasis> _basis;
    private readonly string _name;

    public Population(ModelConfig config, int adapters, BundleSizes sizes)
    {
        var (clusters, rank) = Size(sizes, adapters);
        Adapters = adapters;
        Clusters = clusters;
        Rank = rank;
        _name = $"{adapters}x{clusters}x{rank}";
        var random = new Random(adapters);
        _basis = Modules(config).ToDictionary(m => m.Name, m => new ClusterBasis(
            Values.Random(random, m.Out * rank, 1 / MathF.Sqrt(m.Out)), Values.Random(random, m.In * rank, 1 / MathF.Sqrt(m.In)), m.Out, m.In, rank, rank));
    }

    public int Adapters { get; }

    public int Clusters { get; }

    /// <summary>Of the bases.</summary>
    public int Rank { get; }

    /// <summary>On the device: the bases in the model's number type, the cores in float32.</summary>
    public long Bytes(int elementSize) =>
        (elementSize * Clusters * _basis.Values.Sum(b => (long)b.U.Length + b.V.Length)) + (sizeof(float) * (long)Adapters * _basis.Values.Sum(b => b.RU * b.RV));

    /// <summary>Clusters and basis rank for a number of adapters of rank 16.</summary>
    private static (int Clusters, int Rank) Size(BundleSizes sizes, int adapters) => (sizes, adapters) switch
    {
        (BundleSizes.Rank16, _) => (adapters <= 64 ? 1 : adapters <= 256 ? 10 : 25, 16),
        _ => PaperSize(adapters),
    };

    private static (int Clusters, int Rank) PaperSize(int adapters) => adapters switch
    {
        <= 8 => (1, 16),
        <= 16 => (1, 32),
        <= 64 => (1, 64),
        <= 128 => (7, 16),
        <= 256 => (10, 16),
        <= 512 => (25, 16),
        _ => (7, 64),
    };

    public static IEnumerable<(string Name, int Out, int In)> Modules(ModelConfig config) =>
        from layer in Enumerable.Range(0, config.Layers)
        from module in new[] { ("q", config.QueryWidth), ("k", config.KvWidth), ("v", config.KvWidth) }
        select ($"model.layers.{layer}.self_attn.{module.Item1}_proj", module.Item2, config.HiddenSize);

    /// <summary>Puts all of it on the device, so that no request waits for a load.</summary>
    public void Load(Engine engine)
    {
        // Memory of its own for each cluster, as for different bases.
        for (int c = 0; c < Clusters; c++)
            engine.AddCluster(ClusterKey(c), _basis);
        for (int i = 0; i < Adapters; i++)
            engine.LoadAdapter(Weights(i)).Dispose();
    }

    /// <summary>Gives each request the adapter that was drawn for it.</summary>
    public Func<int, ValueTask<ResidentAdapter?>> Drawn(Engine engine, int[] adapters) => request =>
        engine.TryAcquire(Id(adapters[request]), "1", out ResidentAdapter? lease)
            ? ValueTask.FromResult<ResidentAdapter?>(lease)
            : throw new InvalidOperationException($"adapter {Id(adapters[request])} was evicted");

    private AdapterWeights Weights(int adapter)
    {
        var random = new Random(adapter);
        return new AdapterWeights(
            Id(adapter), "1", ClusterKey(adapter % Clusters), _basis.ToDictionary(b => b.Key, b => Values.Random(random, b.Value.RU * b.Value.RV, 0.3f / MathF.Sqrt(Rank))));
    }

    private string Id(int adapter) => $"{_name}-{adapter}";

    private string ClusterKey(int cluster) => $"{_name}-c{cluster}";
}
