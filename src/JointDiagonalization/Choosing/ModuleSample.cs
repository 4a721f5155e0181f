using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Clustering;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>
/// One module of the sample: the products in their leading directions, and how many products of the collection each of
/// them stands for. <paramref name="Energies"/> [k, l] are the squared singular values of the unit products, of which
/// the projection lost nothing.
/// </summary>
internal sealed record SampledModule(BundleModule Module, double Weight, CanonicalFactors Factors, Tensor Energies) : IDisposable
{
    public void Dispose()
    {
        Factors.Dispose();
        Energies.Dispose();
    }
}

/// <summary>
/// Some modules of a collection, spread over layers and projections, in memory: what settings are tried on. Which ones
/// depends on the paths and shapes alone, and which adapters, where they are very many, on the seed.
/// </summary>
internal sealed class ModuleSample(IReadOnlyList<SampledModule> modules, int adapters, int collectionModules) : IDisposable
{
    /// <summary>Directions that are kept per side; ranks beyond are not considered.</summary>
    internal const int Dimensions = 384;

    private const int MostModules = 12;
    private const int FewestModules = 3;

    // Reading and projecting a module costs about its numbers times the directions kept; this bounds the sum to about a minute.
    private const long MostNumbers = 400_000_000;

    internal IReadOnlyList<SampledModule> Modules { get; } = modules;

    /// <summary>Of the whole collection; owners are below it. Of more than a few thousand only some are in the sample.</summary>
    internal int CollectionAdapters { get; } = adapters;

    /// <summary>Modules of the whole collection.</summary>
    internal int CollectionModules { get; } = collectionModules;

    internal static ModuleSample Read(
        AdapterCollection collection, Device device, ulong seed, IProgress<CompressionProgress>? progress, CancellationToken cancellation)
    {
        int[] adapters = Adapters(collection.Adapters.Count, seed);
        var chosen = Choose(collection.Modules, CountFor(collection, adapters));
        List<SampledModule> modules = [];
        try
        {
            foreach (var (module, weight) in chosen)
            {
                cancellation.ThrowIfCancellationRequested();
                using CanonicalFactors factors = collection.Read(module.Path, adapters, device, cancellation);
                if (factors.Count > 0)
                {
                    Tensor energies = factors.BatchedF.to(ScalarType.Float64).Squared().sum(2).DetachFromDisposeScope();
                    using ClusterProjection projection = ClusterProjection.Of(factors, Dimensions, seed);
                    modules.Add(new SampledModule(module, weight, projection.Apply(factors), energies));
                }

                progress?.Report(new CompressionProgress(CompressionStage.Choosing, modules.Count, chosen.Count, module.Path));
            }

            return new ModuleSample(modules, collection.Adapters.Count, collection.Modules.Length);
        }
        catch
        {
            modules.ForEach(m => m.Dispose());
            throw;
        }
    }

    /// <summary>
    /// Modules of equal shape and last path segment are of one kind; each kind gives as many as its share, at least one
    /// as long as there are enough, at even distances in the order of layers.
    /// </summary>
    /// <returns>Each module with the number of modules it stands for.</returns>
    internal static IReadOnlyList<(BundleModule Module, double Weight)> Choose(IReadOnlyList<BundleModule> modules, int count)
    {
        BundleModule[][] kinds = [.. modules.GroupBy(m => (Kind(m.Path), m.DOut, m.DIn)).Select(g => g.OrderBy(m => m.Path, LayerOrder.Instance).ToArray())];
        List<(BundleModule, double)> chosen = [];
        int left = Math.Max(count, kinds.Length);
        for (int k = 0; k < kinds.Length; k++)
        {
            BundleModule[] kind = kinds[k];
            int share = Math.Clamp(left / (kinds.Length - k), 1, kind.Length);
            left -= share;
            for (int j = 0; j < share; j++)
                chosen.Add((kind[((2 * j) + 1) * kind.Length / (2 * share)], (double)kind.Length / share));
        }

        return chosen;
    }

    public void Dispose()
    {
        foreach (SampledModule module in Modules)
            module.Dispose();
    }

    private static int[] Adapters(int count, ulong seed) => count <= CollectionAssignment.AffordableAdapters
        ? [.. Enumerable.Range(0, count)]
        : [.. new CounterRandom(seed, RandomPurpose.Sample, 2).Shuffled(count).Take(CollectionAssignment.AffordableAdapters).Order()];

    private static int CountFor(AdapterCollection collection, int[] adapters)
    {
        double numbers = adapters.SelectMany(a => collection.Adapters[a].Modules.Values).Sum(m => m.A.Count + m.B.Count) / (double)collection.Modules.Length;
        return (int)Math.Clamp(MostNumbers / numbers, FewestModules, MostModules);
    }

    private static string Kind(string path) => path[(path.LastIndexOf('.') + 1)..];

    /// <summary>Layer 10 after layer 9: runs of digits compare as numbers.</summary>
    private sealed class LayerOrder : IComparer<string>
    {
        internal static readonly LayerOrder Instance = new();

        public int Compare(string? x, string? y) => string.CompareOrdinal(Padded(x!), Padded(y!));

        private static string Padded(string path) =>
            string.Join('.', path.Split('.').Select(part => part.All(char.IsAsciiDigit) ? part.PadLeft(10, '0') : part));
    }
}
