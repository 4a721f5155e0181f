using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Fitting;

namespace Eigengate.Bench.Compression;

/// <summary>
/// The baseline as the paper has it: one-cluster JD, k-means on the cores, then JD in each cluster and every adapter to the
/// cluster of least error, its own error as fitted, until nobody moves. Ten iterations of exact alternation per fit.
/// </summary>
internal sealed class PaperAlgorithm(int rank, int clusters, int seed)
{
    private const int MaxRounds = 30;
    private readonly JointDiagonalizer _diagonalizer = new(new FitOptions { RankU = rank, RankV = rank, Iterations = 10, Tolerance = 0, Method = HalfStepMethod.Exact, TryMembers = false });

    /// <summary>Mean relative squared error, and rounds.</summary>
    internal (double Error, int Rounds) Run(IReadOnlyList<CanonicalFactors> modules)
    {
        int count = modules[0].Count;
        int[] assignment = KMeansOnCores(modules, count);
        for (int round = 1; ; round++)
        {
            double[,] errors = Errors(modules, assignment, count);
            int[] next = [.. Enumerable.Range(0, count).Select(i => Enumerable.Range(0, clusters).OrderBy(c => errors[i, c]).ThenBy(c => c == assignment[i] ? 0 : 1).First())];
            if (round == MaxRounds || next.SequenceEqual(assignment))
                return (Enumerable.Range(0, count).Sum(i => errors[i, assignment[i]]) / (count * modules.Count), round);
            assignment = next;
        }
    }

    private double[,] Errors(IReadOnlyList<CanonicalFactors> modules, int[] assignment, int count)
    {
        double[,] errors = new double[count, clusters];
        for (int c = 0; c < clusters; c++)
        {
            int[] members = [.. Enumerable.Range(0, count).Where(i => assignment[i] == c)];
            foreach (CanonicalFactors module in modules)
            {
                double[]? ofModule = null;
                if (members.Length > 0)
                {
                    using CanonicalFactors part = module.Select(members);
                    using JointFit fit = _diagonalizer.Fit(part);
                    ofModule = ReconstructionError.Cheap(module, fit.Basis);
                }

                for (int i = 0; i < count; i++)
                    errors[i, c] += ofModule?[i] ?? 1;
            }
        }

        return errors;
    }

    private int[] KMeansOnCores(IReadOnlyList<CanonicalFactors> modules, int count)
    {
        var points = new float[count][];
        Array.Fill(points, []);
        foreach (CanonicalFactors module in modules)
        {
            using JointFit fit = _diagonalizer.Fit(module);
            Sigma[] cores = SigmaProjection.Project(module, fit.Basis);
            for (int i = 0; i < count; i++)
                points[i] = [.. points[i], .. cores[i].Values.Select(v => (float)(v / cores[i].Norm))];
        }

        var random = new Random(seed);
        float[][] centres = [.. Enumerable.Range(0, count).OrderBy(_ => random.Next()).Take(clusters).Select(i => points[i])];
        int[] assignment = new int[count];
        for (int iteration = 0; iteration < 50; iteration++)
        {
            int[] next = [.. points.Select(p => Enumerable.Range(0, clusters).MinBy(c => Distance(p, centres[c])))];
            if (iteration > 0 && next.SequenceEqual(assignment))
                break;
            assignment = next;
            for (int c = 0; c < clusters; c++)
            {
                float[][] members = [.. points.Where((_, i) => assignment[i] == c)];
                if (members.Length > 0)
                    centres[c] = [.. Enumerable.Range(0, members[0].Length).Select(j => members.Average(m => m[j]))];
            }
        }

        return assignment;
    }

    private static double Distance(float[] a, float[] b) => System.Numerics.Tensors.TensorPrimitives.Distance(a, b);
}
