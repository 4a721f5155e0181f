using Eigengate.JointDiagonalization.Bundles;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// Assigns a collection on disk in bounded memory and time: the clusters are found on a sample of modules, and of adapters
/// when there are very many; every other adapter then goes where its error over the sampled modules is least, which is
/// how a newcomer is placed (spec/joint-diagonalization.md §5). Small collections are their own sample.
/// </summary>
internal sealed class CollectionAssignment(
    AdapterCollection collection, ClusterOptions options, Device device, IProgress<CompressionProgress>? progress, CancellationToken cancellation)
{
    /// <summary>The affinity of n adapters takes n² numbers and its eigenvectors n³ operations.</summary>
    internal const int AffordableAdapters = 2048;

    internal int MaxSampledAdapters { get; init; } = AffordableAdapters;

    /// <summary>Projected factors that are kept at once; also bounds the work of a round.</summary>
    internal long SampleBytes { get; init; } = 512L << 20;

    private const int BatchAdapters = 1024;

    private readonly AdapterClusterer _clusterer = new(options);
    private readonly int _count = collection.Adapters.Count;

    internal ClusterAssignment Run()
    {
        if (options.Clusters == 1 || _count == 1)
            return new ClusterAssignment(new int[_count], 1, double.NaN, [], "single");

        int[] adapters = SampledAdapters();
        BundleModule[] modules = SampledModules(adapters.Length);
        List<ClusterProjection> projections = [];
        List<CanonicalFactors> projected = [];
        try
        {
            foreach (BundleModule module in modules)
            {
                using CanonicalFactors factors = collection.Read(module.Path, adapters, device, cancellation);
                projections.Add(ClusterProjection.Of(factors, _clusterer.Dimensions, options.Seed));
                projected.Add(projections[^1].Apply(factors));
                Report(projected.Count, modules.Length, module.Path, null);
            }

            int products = projected.Sum(p => p.Count);
            using AdapterClusterer.Solution solution = _clusterer.Solve(
                _count, projected, (start, objective) => Report(modules.Length, modules.Length, $"round from the {start} start", objective / products), cancellation);
            int[] clusterOf = solution.Assignment.ClusterOf;
            if (adapters.Length < _count && solution.Fits is { } fits)
                Place([.. Enumerable.Range(0, _count).Except(adapters)], modules, projections, fits, clusterOf);
            return solution.Assignment with { ClusterOf = _clusterer.Numbered(clusterOf) };
        }
        finally
        {
            projections.ForEach(p => p.Dispose());
            projected.ForEach(p => p.Dispose());
        }
    }

    /// <summary>The least-error cluster of adapters that took no part in finding them.</summary>
    private void Place(int[] others, BundleModule[] modules, List<ClusterProjection> projections, ClusterFits fits, int[] clusterOf)
    {
        double[,] errors = new double[_count, options.Clusters];
        bool[] seen = new bool[_count];
        for (int m = 0; m < modules.Length; m++)
        {
            foreach (int[] batch in others.Where(i => Has(i, modules[m])).Chunk(BatchAdapters))
            {
                using CanonicalFactors factors = collection.Read(modules[m].Path, batch, device, cancellation);
                using CanonicalFactors projected = projections[m].Apply(factors);
                fits.AddErrors(errors, m, projected);
                foreach (int owner in projected.Owners)
                    seen[owner] = true;
            }

            Report(m + 1, modules.Length, $"{modules[m].Path} of the other adapters", null);
        }

        foreach (int i in others.Where(i => seen[i]))
            clusterOf[i] = Enumerable.Range(0, fits.Clusters).MinBy(c => errors[i, c]);
    }

    private int[] SampledAdapters() =>
        _count <= MaxSampledAdapters ? [.. Enumerable.Range(0, _count)] : [.. Shuffled(_count, 0).Take(MaxSampledAdapters).Order()];

    /// <summary>As many modules as may be kept, spread at random, and then one of every adapter that has none of them.</summary>
    private BundleModule[] SampledModules(int adapters)
    {
        long numbers = SampleBytes / sizeof(float);
        SortedSet<int> chosen = [];
        foreach (int m in Shuffled(collection.Modules.Length, 1))
        {
            BundleModule module = collection.Modules[m];
            long rows = (long)adapters * collection.Adapters.Max(a => a.Modules.TryGetValue(module.Path, out var entry) ? entry.Rank : 0);
            numbers -= rows * (Math.Min(module.DOut, _clusterer.Dimensions) + Math.Min(module.DIn, _clusterer.Dimensions));
            if (numbers < 0 && chosen.Count > 0)
                break;
            chosen.Add(m);
        }

        for (int i = 0; i < _count; i++)
        {
            if (!chosen.Any(m => Has(i, collection.Modules[m])))
                chosen.Add(Array.FindIndex(collection.Modules, m => Has(i, m)));
        }

        return [.. chosen.Select(m => collection.Modules[m])];
    }

    private bool Has(int adapter, BundleModule module) => collection.Adapters[adapter].Modules.ContainsKey(module.Path);

    private int[] Shuffled(int count, int draw) => new CounterRandom(options.Seed, RandomPurpose.Sample, draw).Shuffled(count);

    private void Report(int done, int total, string detail, double? error) =>
        progress?.Report(new CompressionProgress(CompressionStage.Clustering, done, total, detail, error));
}
