using CsCheck;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests;

/// <summary>Laws of spec/joint-diagonalization.md §10 that concern clusters, factors and whole runs, by number.</summary>
public sealed class CollectionLawTests
{
    private const int WholeRuns = 6;

    [Fact]
    public void Any_other_factors_of_the_same_products_give_the_same_errors() => SmallCase.Check(c => // 8
    {
        LoraDelta[] deltas = c.Deltas();
        double[] expected = Errors(deltas, c), actual = Errors([.. deltas.Select(d => Regauged(d, c.Seed))], c);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-9));
    });

    [Fact]
    public void Scaling_B_or_A_or_alpha_is_the_same() => // 9
        Gen.Select(SmallCase.Any, Gen.Int[-6, 6]).Sample(
            (c, exponent) =>
            {
                // Powers of two scale float32 without rounding.
                float factor = MathF.Pow(2, exponent);
                LoraDelta[] deltas = c.Deltas();
                LoraDelta last = deltas[^1];
                LoraDelta byB = new([.. last.B.Select(b => b * factor)], last.A, last.OutFeatures, last.InFeatures, last.Rank, last.Scale);
                LoraDelta byA = new(last.B, [.. last.A.Select(a => a * factor)], last.OutFeatures, last.InFeatures, last.Rank, last.Scale);
                LoraDelta byAlpha = new(last.B, last.A, last.OutFeatures, last.InFeatures, last.Rank, last.Scale * factor);
                double norm = Math.Sqrt(Dense.SquaredNorm(Dense.Product(last)));
                double[] errors = Errors(deltas, c);
                foreach (LoraDelta scaled in new[] { byB, byA, byAlpha })
                {
                    LoraDelta[] collection = [.. deltas[..^1], scaled];
                    using CanonicalFactors factors = Synthetic.Canonical(collection);
                    Assert.Equal(factor * norm, factors.Norms[^1], 1e-9 * factor * norm);
                    Assert.All(errors.Zip(Errors(collection, c)), pair => Assert.Equal(pair.First, pair.Second, 1e-9));
                }
            },
            iter: SmallCase.Iterations,
            threads: 1);

    [Fact]
    public void As_many_clusters_as_products_reach_the_sum_of_Eckart_Young() => SmallCase.Check(c => // 13
    {
        LoraDelta[] deltas = c.Deltas();
        int rank = Math.Min(c.RankU, c.RankV);
        using CanonicalFactors module = Synthetic.Canonical(deltas);
        ClusterAssignment assignment = Assign(module, c.Count, rank);
        double reached = 0;
        foreach (var members in Enumerable.Range(0, c.Count).GroupBy(i => assignment.ClusterOf[i]))
        {
            using CanonicalFactors own = module.Select([.. members]);
            using JointFit fit = new JointDiagonalizer(c.Options() with { RankU = rank, RankV = rank }).Fit(own);
            reached += fit.TotalError;
        }

        Assert.Equal(deltas.Sum(d => Dense.SingularValues(Dense.Unit(d)).Skip(rank).Sum(s => s * s)), reached, 1e-8);
    });

    [Fact]
    public void One_cluster_is_the_fit_of_all() => WholeRun((folder, seed) => // 13
    {
        string[] folders = AdapterFolders.Write(folder["in"], 5, seed: seed);
        CompressionReport report = Compressor.Compress(Options(folder["out"]) with { Clusters = 1 }, folders).Report;
        foreach (var (module, _, _) in AdapterFolders.Modules)
        {
            using CanonicalFactors factors = CanonicalFactors.From([.. folders.Select((f, i) => (i, PeftAdapter.Open(f).ReadDelta(module)))]);
            using JointFit fit = new JointDiagonalizer(new FitOptions { RankU = 5, RankV = 4 }).Fit(factors);
            Assert.All(report.Adapters.Zip(fit.Errors), pair => Assert.Equal(pair.Second, pair.First.Modules[module], 1e-5));
        }
    });

    [Fact]
    public void Compressing_what_a_bundle_serves_is_lossless() => WholeRun((folder, seed) => // 14, with clusters
    {
        string[] folders = AdapterFolders.Write(folder["in"], 8, noise: 0.3, seed: seed);
        CompressorOptions options = Options(folder["first"]) with { Clusters = 2 };
        CompressionResult first = Compressor.Compress(options, folders);
        Assert.True(first.Report.MeanRelSqError > 0.01, "the first run must lose something");
        using (Bundle bundle = Bundle.Open(folder["first"]))
            PeftExport.Write(bundle, [.. bundle.Manifest.Adapters.Select(a => a.Id)], folder["served"]);
        CompressionResult second = Compressor.Compress(options with { Output = folder["second"] }, PeftAdapter.FindFolders(folder["served"]));
        Assert.Equal(first.Manifest.Adapters.Select(a => a.Cluster), second.Manifest.Adapters.Select(a => a.Cluster));
        Assert.InRange(second.Report.MeanRelSqError, 0, 1e-9);
    });

    [Fact]
    public void Thread_counts_change_neither_the_assignment_nor_the_error() => WholeRun((folder, seed) => // 15
    {
        string[] folders = AdapterFolders.Write(folder["in"], 9, families: 3, noise: 0.5, seed: seed);
        CompressorOptions options = Options(folder["one"]) with { Clusters = 3, Seed = (ulong)seed, Threads = 1 };
        CompressionResult one = Compressor.Compress(options, folders), two = Compressor.Compress(options with { Output = folder["two"], Threads = 2 }, folders);
        Assert.Equal(one.Manifest.Adapters.Select(a => a.Cluster), two.Manifest.Adapters.Select(a => a.Cluster));
        Assert.Equal(one.Report.MeanRelSqError, two.Report.MeanRelSqError, 1e-6);
    });

    private static CompressorOptions Options(string output) => new() { Output = output, RankU = 5, RankV = 4, FigureModules = 0 };

    private static void WholeRun(Action<TemporaryFolder, int> law) => Gen.Int[1, 1_000_000].Sample(
        seed =>
        {
            using var folder = new TemporaryFolder();
            law(folder, seed);
        },
        iter: WholeRuns,
        threads: 1);

    private static ClusterAssignment Assign(CanonicalFactors module, int clusters, int rank) =>
        new AdapterClusterer(new ClusterOptions { Clusters = clusters, RankU = rank, RankV = rank }).Assign(module.Count, [module]);

    private static double[] Errors(LoraDelta[] deltas, SmallCase c)
    {
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(c.Options(HalfStepMethod.Exact) with { Iterations = 3 }).Fit(factors);
        return [.. fit.Errors];
    }

    /// <summary>(B X, X⁻¹ A) with X a permutation times powers of two, which float32 inverts exactly.</summary>
    private static LoraDelta Regauged(LoraDelta delta, int seed)
    {
        var random = new Random(seed);
        int[] order = [.. Enumerable.Range(0, delta.Rank)];
        random.Shuffle(order);
        float[] factors = [.. order.Select(_ => MathF.Pow(2, random.Next(-4, 5)) * (random.Next(2) == 0 ? 1 : -1))];
        float[] b = new float[delta.B.Length], a = new float[delta.A.Length];
        for (int j = 0; j < delta.Rank; j++)
        {
            for (int i = 0; i < delta.OutFeatures; i++)
                b[(i * delta.Rank) + j] = delta.B[(i * delta.Rank) + order[j]] * factors[j];
            for (int i = 0; i < delta.InFeatures; i++)
                a[(j * delta.InFeatures) + i] = delta.A[(order[j] * delta.InFeatures) + i] / factors[j];
        }

        return new LoraDelta(b, a, delta.OutFeatures, delta.InFeatures, delta.Rank, delta.Scale);
    }
}
