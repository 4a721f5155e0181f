using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;

namespace Eigengate.Bench.Compression;

/// <summary>One module: canonical factors, fits against the converged objective, and the assignment.</summary>
internal static class FitBenchmark
{
    private static readonly Collections Families = new(Structure.Families, Families: 25, Shared: 16);

    internal static void Fit(int count, int d, int rank, int families, bool converge)
    {
        double g = MatrixProduct.Seconds();
        LoraDelta[] deltas = (Families with { Families = families }).Make(count, d, d, rank, seed: 1);
        CanonicalFactors? made = null;
        double canonical = MatrixProduct.Time(() => made = CanonicalFactors.From([.. deltas.Select((delta, i) => (i, delta))]));
        using CanonicalFactors factors = made!;
        Console.WriteLine($"G = {g:F2} s; k={count}, l={rank}, {d}x{d}, {families} families; canonical factors {canonical:F2} s = {canonical / g:F2} G");
        Console.WriteLine();
        Console.WriteLine("| r | iterations | mean error | seconds | ÷ G | above converged |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (int r in (int[])[16, 64])
        {
            var options = new FitOptions { RankU = r, RankV = r };
            double converged = double.NaN;
            if (converge)
            {
                using JointFit reference = new JointDiagonalizer(options with { Iterations = 40, Tolerance = 1e-6 }).Fit(factors);
                converged = reference.Trace[^1];
            }

            for (int iterations = 1; iterations <= 6; iterations++)
            {
                if (Row(factors, options with { Iterations = iterations, Tolerance = 0 }, "", converged, g) < 0.005)
                    break;
            }

            Row(factors, options, " (default)", converged, g);
        }
    }

    /// <summary>Best time of three; returns how far above the converged objective it ends.</summary>
    private static double Row(CanonicalFactors factors, FitOptions options, string note, double converged, double g)
    {
        double seconds = double.PositiveInfinity, error = 0;
        int iterations = 0;
        for (int repeat = 0; repeat < 3; repeat++)
        {
            JointFit? fit = null;
            seconds = Math.Min(seconds, MatrixProduct.Time(() => fit = new JointDiagonalizer(options).Fit(factors)));
            (error, iterations) = (fit!.Trace[^1], fit.Trace.Count - 1);
            fit.Dispose();
        }

        Console.WriteLine($"| {options.RankU} | {iterations}{note} | {error / factors.Count:F4} | {seconds:F2} | {seconds / g:F2} | {(error / converged) - 1:P2} |");
        return (error / converged) - 1;
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
