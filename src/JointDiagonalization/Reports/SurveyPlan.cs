using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>Which modules, adapters, ranks and numbers of clusters a survey tries, so that its work stays bounded.</summary>
internal sealed class SurveyPlan
{
    private const int MaxModules = 4;
    private const int FewestAdapters = 500;
    private const int AdaptersPerCluster = 2;

    /// <summary>Floating-point operations that the default may spend; some ten seconds of two cores.</summary>
    private const double Budget = 5e11;

    /// <summary>Of a Krylov iteration per row, dimension and column, times iterations (spec/joint-diagonalization.md §6).</summary>
    private const double OperationsPerEntry = 32 * Surveyor.Iterations;

    // Both ends of a decision: how much less would do, and what twice as much would buy.
    private static readonly double[] RankFactors = [0.125, 0.25, 0.5, 1, 2];
    private static readonly double[] ClusterFactors = [0.25, 0.5, 1, 2, 4];

    internal SurveyPlan(AdapterCollection collection, CompressorOptions options)
    {
        int count = collection.Adapters.Count, loraRank = collection.Adapters.Max(a => a.Rank);
        Ranks = [.. RankFactors.Select(f => (Scaled(options.RankU, f), Scaled(options.RankV, f))).Distinct()];
        BundleModule[] wanted = Spread(collection.Modules, options.FigureModules ?? MaxModules);
        int adapters = count;
        while (adapters > FewestAdapters && wanted.Length > 0 && Operations(wanted[0], adapters, loraRank, options) > Budget)
            adapters = Math.Max(FewestAdapters, adapters / 2);
        Adapters = Evenly(count, adapters);
        Clusters = ClustersFor(adapters, options);
        Modules = options.FigureModules is null ? Affordable(wanted, m => Operations(m, adapters, loraRank, options)) : wanted;
    }

    internal BundleModule[] Modules { get; }

    /// <summary>Numbers of the adapters to look at.</summary>
    internal int[] Adapters { get; }

    internal (int U, int V)[] Ranks { get; }

    internal int[] Clusters { get; }

    internal int Fits => Modules.Length * Clusters.Length;

    /// <summary>As many different projections as possible, each from another depth of the model.</summary>
    internal static BundleModule[] Spread(IReadOnlyList<BundleModule> modules, int count)
    {
        BundleModule[][] projections =
        [
            .. modules.GroupBy(m => ModulePath.Parse(m.Path).Projection).OrderBy(g => g.Key, StringComparer.Ordinal)
                .Select(g => g.OrderBy(m => ModulePath.Parse(m.Path).Layer).ToArray()),
        ];
        count = Math.Min(count, modules.Count);
        List<BundleModule> chosen = [];
        for (int i = 0; i < count; i++)
        {
            BundleModule[] layers = count < projections.Length ? projections[i * projections.Length / count] : projections[i % projections.Length];
            int depth = (int)((i + 0.5) * layers.Length / count);
            chosen.Add(Enumerable.Range(0, layers.Length).Select(step => layers[(depth + step) % layers.Length]).First(m => !chosen.Contains(m)));
        }

        return [.. chosen];
    }

    private static BundleModule[] Affordable(BundleModule[] modules, Func<BundleModule, double> operations)
    {
        double spent = 0;
        return [.. modules.TakeWhile((m, i) => (spent += operations(m)) <= Budget || i == 0)];
    }

    private static int[] ClustersFor(int adapters, CompressorOptions options)
    {
        int most = Math.Max(1, adapters / AdaptersPerCluster);
        return [.. ClusterFactors.Select(f => Scaled(options.Clusters, f)).Append(1).Where(c => c <= most).Distinct().Order()];
    }

    private double Operations(BundleModule module, int adapters, int loraRank, CompressorOptions options)
    {
        double rows = (double)adapters * loraRank;
        // Small clusters are reduced to as many dimensions as they have rows.
        double dimensions = ClustersFor(adapters, options).Sum(c => Math.Min(module.DOut, rows / c) + Math.Min(module.DIn, rows / c));
        return OperationsPerEntry * rows * dimensions * Ranks.Sum(r => Math.Max(r.U, r.V));
    }

    private static int[] Evenly(int count, int chosen) => [.. Enumerable.Range(0, chosen).Select(i => (int)((long)i * count / chosen))];

    private static int Scaled(int value, double factor) => Math.Max(1, (int)Math.Round(value * factor));
}
