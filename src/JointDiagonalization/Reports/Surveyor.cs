using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>
/// Measures an <see cref="ErrorSurvey"/>. Adapters stay where an affinity start puts them, which is close to what rounds of
/// moves reach (spec/joint-diagonalization.md §5). The largest rank is fitted from scratch; every smaller one starts from
/// the leading columns of the next larger basis, which its gauge puts in order of energy.
/// </summary>
internal sealed class Surveyor(
    AdapterCollection collection,
    int[] published,
    CompressorOptions options,
    IProgress<CompressionProgress>? progress,
    CancellationToken cancellation)
{
    internal const int Iterations = 2;

    /// <summary>Clusters of fewer rows are fitted in as many dimensions.</summary>
    private const int ReducedRows = 256;

    /// <summary>Directions per side that affinity and the spectra of large modules are taken from.</summary>
    private const int Directions = 512;

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
            foreach (var (clusters, clusterOf) in Assignments(modules))
                Measure(modules, clusters, clusterOf);
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
        return collection.Read(module.Path, _plan.Adapters, device(options.Device), cancellation);
    }

    private IEnumerable<(int Clusters, int[] ClusterOf)> Assignments(List<CanonicalFactors> modules)
    {
        int count = collection.Adapters.Count, chosen = published.Max() + 1;
        AffinityStarts? starts = _plan.Clusters.All(c => c == 1 || c == chosen) ? null : StartsOf(modules);
        using (starts)
        {
            foreach (int clusters in _plan.Clusters)
            {
                cancellation.ThrowIfCancellationRequested();
                if (clusters == chosen || starts is null)
                    yield return (clusters, clusters == chosen ? published : new int[count]);
                else if (clusters <= starts.Active)
                    yield return (clusters, starts.Assign(clusters, options.Seed));
            }
        }
    }

    private AffinityStarts StartsOf(List<CanonicalFactors> modules)
    {
        List<CanonicalFactors> shrunk = [];
        try
        {
            foreach (CanonicalFactors module in modules)
            {
                using ClusterProjection projection = ClusterProjection.Of(module, Directions, options.Seed);
                shrunk.Add(projection.Apply(module));
            }

            return new AffinityStarts(collection.Adapters.Count, shrunk);
        }
        finally
        {
            shrunk.ForEach(m => m.Dispose());
        }
    }

    private void Measure(List<CanonicalFactors> modules, int clusters, int[] clusterOf)
    {
        for (int m = 0; m < modules.Count; m++)
        {
            CanonicalFactors module = modules[m];
            string path = _plan.Modules[m].Path;
            int[][] members = [.. Enumerable.Range(0, module.Count).GroupBy(p => clusterOf[module.Owners[p]]).OrderBy(g => g.Key).Select(g => g.ToArray())];
            var sums = new Sum[members.Length][];
            if (members.Length == 1)
                sums[0] = FitRanks(module, members[0], path);
            else
                Workers.For(members.Length, c => sums[c] = FitRanks(module, members[c], path), cancellation);
            foreach (Sum[] ofCluster in sums)
            {
                for (int r = 0; r < ofCluster.Length; r++)
                    _sums[(clusters, r)] = _sums.GetValueOrDefault((clusters, r)).Plus(ofCluster[r]);
            }

            progress?.Report(new CompressionProgress(CompressionStage.Surveying, ++_done, _plan.Fits, path));
        }
    }

    /// <summary>What each rank reaches on one cluster.</summary>
    private Sum[] FitRanks(CanonicalFactors factors, int[] positions, string module)
    {
        using CanonicalFactors members = factors.Select(positions);
        using var reduction = new ExactReduction(members, ReducedRows);
        long source = members.Owners.Select(o => collection.Adapters[o].Modules[module]).Sum(m => m.A.Count + m.B.Count);
        var sums = new Sum[_plan.Ranks.Length];
        SharedBasis? start = null;
        try
        {
            for (int r = sums.Length - 1; r >= 0; r--)
            {
                cancellation.ThrowIfCancellationRequested();
                var fitOptions = new FitOptions { RankU = _plan.Ranks[r].U, RankV = _plan.Ranks[r].V, Iterations = Iterations, Seed = options.Seed, Certify = false };
                using JointFit fit = new JointDiagonalizer(fitOptions).Fit(reduction.Factors, start, cancellation);
                sums[r] = Sum.Of(fit, members, source);
                start?.Dispose();
                start = fit.Basis.To(fit.Basis.U.device, fit.Basis.U.dtype);
            }

            return sums;
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
        using ClusterProjection? projection = Math.Max(factors.OutFeatures, factors.InFeatures) <= HigherOrderSvd.DenseLimit
            ? null
            : ClusterProjection.Of(factors, Directions, options.Seed);
        using CanonicalFactors? shrunk = projection?.Apply(factors);
        double[] u = Tails(HigherOrderSvd.OutputOperator(shrunk ?? factors), factors.Count);
        double[] v = Tails(HigherOrderSvd.InputOperator(shrunk ?? factors), factors.Count);
        int[] ranks = [.. Enumerable.Range(0, 31).Select(e => 1 << e).TakeWhile(r => r < Math.Max(u.Length, v.Length))];
        return new SurveySpectrum(path, ranks, [.. ranks.Select(r => At(u, r))], [.. ranks.Select(r => At(v, r))]);

        static double At(double[] tails, int rank) => rank < tails.Length ? tails[rank] : 0;
    }

    /// <summary>Share of the energy beyond the first r eigenvalues, for r = 0, 1, …</summary>
    private static double[] Tails(StackedOperator t, int products)
    {
        double[] values = t.Eigenvalues();
        double[] tails = new double[values.Length + 1];
        for (int r = values.Length - 1; r >= 0; r--)
            tails[r] = tails[r + 1] + (Math.Max(0, values[r]) / products);
        return tails;
    }

    private readonly record struct Sum(double Error, int Products, long Stored, long Source)
    {
        internal static Sum Of(JointFit fit, CanonicalFactors members, long source)
        {
            int rankU = fit.Basis.RankU, rankV = fit.Basis.RankV;
            long stored = ((long)rankU * members.OutFeatures) + ((long)rankV * members.InFeatures) + ((long)members.Count * rankU * rankV);
            return new Sum(fit.TotalError, members.Count, stored, source);
        }

        internal Sum Plus(Sum other) => new(Error + other.Error, Products + other.Products, Stored + other.Stored, Source + other.Source);

        internal SurveyPoint Point(int clusters, (int U, int V) rank) => new(clusters, [rank.U, rank.V], Error / Products, 1 - ((double)Stored / Source));
    }
}
