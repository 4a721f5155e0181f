using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;

namespace Eigengate.Bench.Compression;

/// <summary>Error at equal bytes: the paper's algorithm, this library with the same settings, with rectangular cores, and truncated SVD.</summary>
internal sealed class QualityBenchmark(int count, int loraRank, int rank, int clusters)
{
    private static readonly (int Out, int In)[] Shapes = [(512, 512), (128, 512), (128, 512)];

    internal void Run()
    {
        Console.WriteLine($"{count} adapters of rank {loraRank}; modules {string.Join(", ", Shapes.Select(s => $"{s.Out}x{s.In}"))}; float32 bytes of bases and cores");
        Console.WriteLine();
        Console.WriteLine("| collection | method | error | bytes | seconds | against the paper |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (Structure structure in Enum.GetValues<Structure>())
            Compare(structure);
    }

    private void Compare(Structure structure)
    {
        var collection = new Collections(structure, clusters, Shared: structure == Structure.Symmetric ? 20 : rank);
        List<CanonicalFactors> modules = [.. Shapes.Select((s, m) =>
            CanonicalFactors.From([.. collection.Make(count, s.Out, s.In, loraRank, seed: 10 + m).Select((delta, i) => (i, delta))]))];
        long budget = Bytes(rank, rank, clusters);

        double paper = 0;
        int rounds = 0;
        double seconds = MatrixProduct.Time(() => (paper, rounds) = new PaperAlgorithm(rank, clusters, seed: 1).Run(modules));
        Row($"paper, C={clusters}, r={rank}, {rounds} rounds", paper, budget, seconds);

        double error = 0;
        seconds = MatrixProduct.Time(() => error = Ours(modules, rank, rank, clusters));
        Row($"ours, C={clusters}, r={rank}", error, budget, seconds);

        (double Error, int U, int V, int C) best = (double.PositiveInfinity, 0, 0, 0);
        seconds = MatrixProduct.Time(() =>
        {
            foreach (var (u, v, c) in Candidates(budget))
            {
                double tried = Ours(modules, u, v, c);
                if (tried < best.Error)
                    best = (tried, u, v, c);
            }
        });
        Row($"ours, best of rectangular ranks and clusters: C={best.C}, r={best.U}x{best.V}", best.Error, Bytes(best.U, best.V, best.C), seconds);

        int t = (int)(budget / (count * Shapes.Sum(s => (long)(s.Out + s.In) * sizeof(float))));
        double svd = modules.Average(m => TruncatedSvd.Errors(m, t).Average());
        Row($"truncated SVD, rank {t}", svd, t * count * Shapes.Sum(s => (long)(s.Out + s.In) * sizeof(float)), 0);
        modules.ForEach(m => m.Dispose());

        void Row(string method, double value, long bytes, double taken) =>
            Console.WriteLine($"| {structure} | {method} | {value:F4} | {bytes / 1e6:F2} MB | {taken:F1} | {(value / paper) - 1:P1} |");
    }

    private double Ours(List<CanonicalFactors> modules, int rankU, int rankV, int groups)
    {
        ClusterAssignment assignment = new AdapterClusterer(new ClusterOptions { Clusters = groups, RankU = rankU, RankV = rankV }).Assign(count, modules);
        var diagonalizer = new JointDiagonalizer(new FitOptions { RankU = rankU, RankV = rankV, Restarts = 2 });
        double error = 0;
        for (int c = 0; c < assignment.Clusters; c++)
        {
            int[] members = [.. Enumerable.Range(0, count).Where(i => assignment.ClusterOf[i] == c)];
            foreach (CanonicalFactors module in modules)
            {
                using CanonicalFactors part = module.Select(members);
                using JointFit fit = diagonalizer.Fit(part);
                error += fit.TotalError;
            }
        }

        return error / (count * modules.Count);
    }

    /// <summary>For some r_V and C, the largest r_U within the bytes.</summary>
    private IEnumerable<(int U, int V, int C)> Candidates(long budget)
    {
        foreach (int groups in new[] { 1, clusters / 2, clusters })
        {
            foreach (int v in new[] { rank / 2, rank, 3 * rank / 2 })
            {
                int u = 1;
                while (Bytes(u + 1, v, groups) <= budget)
                    u++;
                if (Bytes(u, v, groups) <= budget && (u, v, groups) != (rank, rank, clusters))
                    yield return (u, v, groups);
            }
        }
    }

    private long Bytes(int u, int v, int groups) =>
        sizeof(float) * Shapes.Sum(s => ((long)groups * ((Math.Min(u, s.Out) * s.Out) + (Math.Min(v, s.In) * s.In))) + ((long)count * Math.Min(u, s.Out) * Math.Min(v, s.In)));
}
