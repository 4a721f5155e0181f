using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Choosing;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests.Choosing;

public sealed class ErrorSurfaceTests
{
    private static readonly (int U, int V)[] Pairs = [(4, 4), (8, 4), (4, 8), (12, 12), (20, 4), (40, 40)];

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Every_rank_pair_has_the_error_of_truncated_HOSVD_bases_in_each_cluster(int clusters)
    {
        LoraDelta[] deltas = Synthetic.Families(4, 12, 3, 30, 24, 5, 6, 0.3);
        int[] clusterOf = [.. Enumerable.Range(0, 12).Select(i => i % clusters)];
        using ModuleSample sample = SampleOf(deltas);
        ErrorSurface surface = ErrorSurface.Of(sample, clusterOf, clusters, RankGrid.UpTo(30, 24), [], [], CancellationToken.None);
        foreach (var (rankU, rankV) in Pairs)
        {
            double lost = 0;
            for (int c = 0; c < clusters; c++)
            {
                double[][,] members = [.. deltas.Where((_, i) => clusterOf[i] == c).Select(Dense.Unit)];
                double[,] u = DenseAlternation.Top(Dense.Sum(members.Select(m => Dense.Multiply(m, Dense.Transpose(m)))), Math.Min(rankU, 30));
                double[,] v = DenseAlternation.Top(Dense.Sum(members.Select(m => Dense.Multiply(Dense.Transpose(m), m))), Math.Min(rankV, 24));
                lost += DenseAlternation.Error(members, u, v);
            }

            Assert.Equal(lost / 12, surface.Error(new CompressionSetting(Math.Min(rankU, 32), Math.Min(rankV, 24), clusters, 0)), 1e-5);
        }
    }

    [Fact]
    public void The_surface_lies_between_the_tails_and_their_sum_and_a_fit_just_below_it()
    {
        LoraDelta[] deltas = Synthetic.Unstructured(9, 10, 40, 32, 4);
        using ModuleSample sample = SampleOf(deltas);
        int[] one = new int[10];
        ErrorSurface surface = ErrorSurface.Of(sample, one, 1, RankGrid.UpTo(40, 32), [], [], CancellationToken.None);
        var setting = new CompressionSetting(16, 8, 1, 0);
        double fitted = new SampleFit(sample, 0, CancellationToken.None).Error(setting, one);
        using var fit = new JointDiagonalizer(new FitOptions { RankU = 16, RankV = 8 }).Fit(sample.Modules[0].Factors);
        Assert.InRange(surface.Error(setting), Math.Max(fit.TailU, fit.TailV) / 10, (fit.TailU + fit.TailV) / 10);
        Assert.Equal(fit.TotalError / 10, fitted, 1e-5);
        Assert.InRange(fitted, 0.85 * surface.Error(setting), surface.Error(setting) + 1e-9);
    }

    [Fact]
    public void A_residual_of_the_adapters_rank_leaves_nothing_and_each_pair_leaves_less()
    {
        LoraDelta[] deltas = Synthetic.Unstructured(5, 8, 20, 20, 3);
        using ModuleSample sample = SampleOf(deltas);
        ErrorSurface surface = ErrorSurface.Of(sample, new int[8], 1, RankGrid.UpTo(20, 20), [(4, 8)], [1, 2, 6], CancellationToken.None);
        double[] errors = [.. new[] { 0, 1, 2, 6 }.Select(t => surface.Error(new CompressionSetting(4, 8, 1, t)))];
        Assert.Equal(errors.OrderDescending(), errors);
        Assert.True(errors[1] < 0.9 * errors[0]);
        Assert.Equal(0, errors[3], 1e-6);
        double fitted = new SampleFit(sample, 0, CancellationToken.None).Error(new CompressionSetting(4, 8, 1, 2), new int[8]);
        Assert.InRange(fitted, 0.7 * errors[2], 1.1 * errors[2]);
    }

    [Fact]
    public void A_sample_spreads_over_kinds_and_layers_and_stands_for_all_modules()
    {
        BundleModule[] modules =
        [
            .. from layer in Enumerable.Range(0, 32)
               from name in new[] { "q_proj", "k_proj", "v_proj" }
               select new BundleModule($"model.layers.{layer}.self_attn.{name}", name == "q_proj" ? 64 : 16, 64),
        ];
        var chosen = ModuleSample.Choose([.. modules.OrderBy(m => m.Path, StringComparer.Ordinal)], 9);
        Assert.Equal(9, chosen.Count);
        Assert.Equal(96, chosen.Sum(c => c.Weight), 1e-9);
        foreach (string name in new[] { "q_proj", "k_proj", "v_proj" })
        {
            string[] own = [.. chosen.Select(c => c.Module.Path).Where(p => p.EndsWith(name, StringComparison.Ordinal))];
            Assert.Equal([$"model.layers.5.self_attn.{name}", $"model.layers.16.self_attn.{name}", $"model.layers.26.self_attn.{name}"], own);
        }

        Assert.Equal(modules.Length, ModuleSample.Choose(modules, 1000).DistinctBy(c => c.Module.Path).Count());
        Assert.Equal(3, ModuleSample.Choose(modules, 1).Count);
    }

    private static ModuleSample SampleOf(LoraDelta[] deltas)
    {
        CanonicalFactors factors = Synthetic.Canonical(deltas, ScalarType.Float32);
        Tensor energies = factors.BatchedF.to(ScalarType.Float64).square().sum(2);
        return new ModuleSample([new SampledModule(new BundleModule("m", factors.OutFeatures, factors.InFeatures), 1, factors, energies)], deltas.Length, 1);
    }
}
