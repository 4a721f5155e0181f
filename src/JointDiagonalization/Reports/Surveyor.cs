using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>
/// Measures an <see cref="ErrorSurvey"/>. The largest rank is fitted from scratch; every smaller one starts from the leading
/// columns of the next larger basis, which its gauge puts in order of energy.
/// </summary>
internal sealed class Surveyor(
    AdapterCollection collection,
    int[] published,
    CompressorOptions options,
    IProgress<CompressionProgress>? progress,
    CancellationToken cancellation)
{
    private const int Iterations = 3;

    // A start by affinity is close to what many rounds reach (spec/joint-diagonalization.md §5).
    private const int Rounds = 2;

    private readonly SurveyPlan _plan = new(collection, options);
    private readonly Dictionary<(int Clusters, int Rank), Sum> _sums = [];
    private int _done;

    /// <summary>Null when no module is wanted or none has a product.</summary>
    internal ErrorSurvey? Run()
    {
        List<CanonicalFactors> modules = [];
        try
        {
            foreach (BundleModule module in _plan.Modules)
                modules.Add(Read(module));
            if (modules.Sum(m => m.Count) == 0)
                return null;
            foreach (int clusters in _plan.Clusters)
                Measure(modules, clusters);
            return new ErrorSurvey
            {
                Modules = [.. _plan.Modules.Select(m => m.Path)],
                Adapters = _plan.Adapters.Length,
                Points = [.. _sums.OrderBy(s => s.Key.Clusters).ThenBy(s => s.Key.Rank).Select(s => s.Value.Point(s.Key.Clusters, _plan.Ranks[s.Key.Rank]))],
                Spectra = [.. _plan.Modules.Zip(modules).Where(m => m.Second.Count > 0).Select(m => Spectrum(m.First.Path, m.Second))],
            };
        }
        finally
        {
            modules.ForEach(m => m.Dispose());
        }
    }

    private CanonicalFactors Read(BundleModule module)
    {
        cancellation.ThrowIfCancellationRequested();
        CanonicalFactors all = collection.Read(module.Path, device(options.Device), cancellation);
        if (_plan.Adapters.Length == collection.Adapters.Count || all.Count == 0)
            return all;
        using (all)
        {
            HashSet<int> chosen = [.. _plan.Adapters];
            return all.Select([.. Enumerable.Range(0, all.Count).Where(p => chosen.Contains(all.Owners[p]))]);
        }
    }

    private void Measure(List<CanonicalFactors> modules, int clusters)
    {
        int[] clusterOf = Assign(modules, clusters);
        for (int m = 0; m < modules.Count; m++)
        {
            CanonicalFactors module = modules[m];
            foreach (var members in Enumerable.Range(0, module.Count).GroupBy(p => clusterOf[module.Owners[p]]).OrderBy(g => g.Key))
            {
                using CanonicalFactors factors = module.Select([.. members]);
                FitRanks(factors, _plan.Modules[m].Path, clusters);
            }

            progress?.Report(new CompressionProgress(CompressionStage.Surveying, ++_done, _plan.Fits, _plan.Modules[m].Path));
        }
    }

    private int[] Assign(List<CanonicalFactors> modules, int clusters)
    {
        if (clusters == published.Max() + 1)
            return published;
        if (clusters == 1)
            return new int[collection.Adapters.Count];
        return new AdapterClusterer(new ClusterOptions
        {
            Clusters = clusters,
            RankU = options.RankU,
            RankV = options.RankV,
            Seed = options.Seed,
            MaxRounds = Rounds,
        }).Assign(collection.Adapters.Count, modules, cancellation: cancellation).ClusterOf;
    }

    private void FitRanks(CanonicalFactors members, string module, int clusters)
    {
        long source = members.Owners.Select(o => collection.Adapters[o].Modules[module]).Sum(m => m.A.Count + m.B.Count);
        SharedBasis? start = null;
        try
        {
            for (int r = _plan.Ranks.Length - 1; r >= 0; r--)
            {
                cancellation.ThrowIfCancellationRequested();
                var fitOptions = new FitOptions { RankU = _plan.Ranks[r].U, RankV = _plan.Ranks[r].V, Iterations = Iterations, Seed = options.Seed };
                using JointFit fit = new JointDiagonalizer(fitOptions).Fit(members, start, cancellation);
                _sums[(clusters, r)] = _sums.GetValueOrDefault((clusters, r)).Plus(fit, members, source);
                start?.Dispose();
                start = fit.Basis.To(fit.Basis.U.device, fit.Basis.U.dtype);
            }
        }
        finally
        {
            start?.Dispose();
        }
    }

    /// <summary>Tails at powers of two up to the largest surveyed rank and beyond, until nothing is left.</summary>
    private SurveySpectrum Spectrum(string path, CanonicalFactors factors)
    {
        using var scope = NewDisposeScope();
        using ClusterProjection projection = ClusterProjection.Of(factors, HigherOrderSvd.DenseLimit, options.Seed);
        using CanonicalFactors shrunk = projection.Apply(factors);
        double[] u = Tails(new StackedOperator(shrunk.F, TensorMath.RowGrams(shrunk.BatchedG.to(ScalarType.Float64))), factors.Count);
        double[] v = Tails(new StackedOperator(shrunk.G, TensorMath.RowGrams(shrunk.BatchedF.to(ScalarType.Float64))), factors.Count);
        int[] ranks = [.. Enumerable.Range(0, 31).Select(e => 1 << e).TakeWhile(r => r < Math.Max(u.Length, v.Length))];
        return new SurveySpectrum(path, ranks, [.. ranks.Select(r => At(u, r))], [.. ranks.Select(r => At(v, r))]);

        static double At(double[] tails, int rank) => rank < tails.Length ? tails[rank] : 0;
    }

    /// <summary>Share of the energy beyond the first r eigenvalues, for r = 0, 1, …</summary>
    private static double[] Tails(StackedOperator t, int products)
    {
        double[] values = TensorMath.LargestEigenvectors(t.Dense(), 1).Values;
        double[] tails = new double[values.Length + 1];
        for (int r = values.Length - 1; r >= 0; r--)
            tails[r] = tails[r + 1] + (Math.Max(0, values[r]) / products);
        return tails;
    }

    private readonly record struct Sum(double Error, int Products, long Stored, long Source)
    {
        internal Sum Plus(JointFit fit, CanonicalFactors members, long source) => new(
            Error + fit.TotalError,
            Products + members.Count,
            Stored + fit.Basis.U.numel() + fit.Basis.V.numel() + ((long)members.Count * fit.Basis.RankU * fit.Basis.RankV),
            Source + source);

        internal SurveyPoint Point(int clusters, (int U, int V) rank) => new(clusters, [rank.U, rank.V], Error / Products, 1 - ((double)Stored / Source));
    }
}
