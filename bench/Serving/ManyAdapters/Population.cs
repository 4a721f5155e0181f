using Eigengate.Inference;
using Eigengate.Inference.Adapters;

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
    private readonly RandomAdapters _random;
    private readonly Dictionary<string, ClusterBasis> _bases;
    private readonly string _name;

    public Population(Engine engine, int adapters, BundleSizes sizes)
    {
        var (clusters, rank) = Size(sizes, adapters);
        Adapters = adapters;
        Clusters = clusters;
        Rank = rank;
        _name = $"{adapters}x{clusters}x{rank}";
        _random = new RandomAdapters(engine.Config);
        _bases = _random.Cluster(rank, seed: adapters);
    }

    public int Adapters { get; }

    public int Clusters { get; }

    /// <summary>Of the bases.</summary>
    public int Rank { get; }

    /// <summary>Memory on the device: the bases of every cluster and the cores of every adapter.</summary>
    /// <param name="elementBytes">Of one number of either.</param>
    public long Bytes(int elementBytes) => elementBytes * (
        (Clusters * _bases.Values.Sum(b => (long)b.U.Length + b.V.Length)) + (Adapters * _bases.Values.Sum(b => (long)b.RU * b.RV)));

    /// <summary>Puts populations on the device, so that no request waits for a load; the widest cores first, as they set the width of all slots.</summary>
    public static Population[] Load(Engine engine, IEnumerable<int> counts, BundleSizes sizes)
    {
        Population[] populations = [.. counts.Select(count => new Population(engine, count, sizes))];
        foreach (Population population in populations.OrderByDescending(p => p.Rank))
            population.Load(engine);
        return populations;
    }

    /// <summary>Gives each request the adapter that was drawn for it.</summary>
    public Func<int, ValueTask<ResidentAdapter?>> Drawn(Engine engine, int[] adapters) => request =>
        engine.TryAcquire(Id(adapters[request]), "1", out ResidentAdapter? lease)
            ? ValueTask.FromResult<ResidentAdapter?>(lease)
            : throw new InvalidOperationException($"adapter {Id(adapters[request])} was evicted");

    /// <summary>Clusters and basis rank for a number of adapters of rank 16.</summary>
    private static (int Clusters, int Rank) Size(BundleSizes sizes, int adapters) => (sizes, adapters) switch
    {
        (BundleSizes.Rank16, _) => (adapters <= 64 ? 1 : adapters <= 256 ? 10 : 25, 16),
        (_, <= 8) => (1, 16),
        (_, <= 16) => (1, 32),
        (_, <= 64) => (1, 64),
        (_, <= 128) => (7, 16),
        (_, <= 256) => (10, 16),
        (_, <= 512) => (25, 16),
        _ => (7, 64),
    };

    private void Load(Engine engine)
    {
        // Memory of its own for each cluster, as for different bases.
        for (int c = 0; c < Clusters; c++)
            engine.AddCluster(ClusterKey(c), _bases);
        for (int i = 0; i < Adapters; i++)
            engine.LoadAdapter(_random.Compressed(Id(i), ClusterKey(i % Clusters), _bases, seed: i)).Dispose();
    }

    private string Id(int adapter) => $"{_name}-{adapter}";

    private string ClusterKey(int cluster) => $"{_name}-c{cluster}";
}
