using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;

namespace Eigengate.Bench.Compression;

/// <summary>One module: canonical factors, fits against the converged objective, and the assignment.</summary>
internal static class FitBenchmark
{
    private static readonly Collections Families = new(Structure.Families, Families: 25, Shared: 16);

    internal static void Fit(int count, int d, int rank, bool converge)
    {
        double g = MatrixProduct.Seconds();
        LoraDelta[] deltas = Families.Make(count, d, d, rank, seed: 1);
        CanonicalFactors? made = null;
        double canonical = MatrixProduct.Time(() => made = CanonicalFactors.From([.. deltas.Select((delta, i) => (i, delta))]));
        using CanonicalFactors factors = made!;
        Console.WriteLine($"G = {g:F2} s; k={count}, l={rank}, {d}x{d}, {Families.Structure}; canonical factors {canonical:F2} s = {canonical / g:F2} G");
        Console.WriteLine();
        Console.WriteLine("| r | iterations | mean error | seconds | ÷ G | above converged |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (int r in (int[])[16, 64])
        {
            var options = new FitOptions { RankU = r, RankV = r };
            double converged = double.NaN;
            if (converge)
            {
                using JointFit long_ = new JointDiagonalizer(options with { Iterations = 60, Tolerance = 1e-7, Restarts = 1 }).Fit(factors);
                converged = long_.Trace[^1];
            }

            foreach (FitOptions tried in (FitOptions[])[options, options with { Iterations = 2, Tolerance = 0 }])
            {
                double best = double.PositiveInfinity;
                JointFit? fit = null;
                for (int repeat = 0; repeat < 3; repeat++)
                {
                    fit?.Dispose();
                    best = Math.Min(best, MatrixProduct.Time(() => fit = new JointDiagonalizer(tried).Fit(factors)));
                }

                Console.WriteLine(
                    $"| {r} | {fit!.Trace.Count - 1} | {fit.TotalError / count:F4} | {best:F2} | {best / g:F2} | {(fit.TotalError / converged) - 1:P2} |");
                fit.Dispose();
            }
        }
    }

    internal static void Cluster(int count, int d, int rank, int clusters, double noise)
    {
        double g = MatrixProduct.Seconds();
        LoraDelta[] deltas = (Families with { Families = clusters, Noise = noise }).Make(count, d, d, rank, seed: 1);
        using CanonicalFactors factors = CanonicalFactors.From([.. deltas.Select((delta, i) => (i, delta))]);
        var clusterer = new AdapterClusterer(new ClusterOptions { Clusters = clusters, RankU = 16, RankV = 16 });
        ClusterAssignment? assignment = null;
        double seconds = MatrixProduct.Time(() => assignment = clusterer.Assign(
            count, [factors], (start, objective) => Console.Error.WriteLine($"{start} {objective / count:F5}")));
        Console.WriteLine($"G = {g:F2} s; k={count}, {d}x{d}, C={clusters}, r=16, noise {noise}");
        Console.WriteLine($"| start | rounds | error (projected) | seconds | ÷ G |");
        Console.WriteLine($"|---|---|---|---|---|");
        Console.WriteLine($"| {assignment!.Start} | {assignment.Trace.Count - 1} | {assignment.Objective / count:F4} | {seconds:F1} | {seconds / g:F1} |");
    }
}
