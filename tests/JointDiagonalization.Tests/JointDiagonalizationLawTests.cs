using CsCheck;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests;

/// <summary>The laws of spec/joint-diagonalization.md §10, by number.</summary>
public sealed class JointDiagonalizationLawTests
{
    private const double Slack = 1e-8;

    [Fact]
    public void Captured_energy_is_at_most_the_leading_Gram_eigenvalues() => SmallCase.Check(c => // 1
    {
        LoraDelta[] deltas = c.Deltas();
        double[][,] units = [.. deltas.Select(Dense.Unit)];
        double[,] gram = new double[units.Length, units.Length];
        for (int i = 0; i < units.Length; i++)
        {
            for (int j = 0; j < units.Length; j++)
                gram[i, j] = Dense.Inner(units[i], units[j]);
        }

        double bound = Dense.Eigen(gram).Values.Take(c.RankU * c.RankV).Sum();
        Assert.True(c.Count - Fit(deltas, c.Options()) <= bound + Slack);
    });

    [Fact]
    public void Mutually_orthogonal_products_keep_at_most_one_per_core_entry() // 1, Corollary 1
    {
        // Single-entry matrices at different places are orthogonal.
        LoraDelta[] deltas = [.. Enumerable.Range(0, 6).Select(i => new LoraDelta(Unit(6, i), Unit(6, (i * 5) % 6), 6, 6, 1, 2.5))];
        Assert.True(6 - Fit(deltas, new FitOptions { RankU = 2, RankV = 2 }) <= 4 + Slack);

        static float[] Unit(int length, int at)
        {
            float[] v = new float[length];
            v[at] = 1;
            return v;
        }
    }

    [Fact]
    public void Starting_from_the_mean_product_captures_its_share() => SmallCase.Check(c => // 2
    {
        LoraDelta[] deltas = c.Deltas();
        int rank = Math.Min(Math.Min(c.RankU, c.RankV), Math.Min(c.OutFeatures, c.InFeatures));
        double[,] sum = Dense.Sum(deltas.Select(Dense.Unit));
        double[,] u = DenseAlternation.Top(Dense.Multiply(sum, Dense.Transpose(sum)), rank);
        double[,] v = DenseAlternation.Top(Dense.Multiply(Dense.Transpose(sum), sum), rank);
        using SharedBasis single = SharedBasis.FromArrays(Dense.Floats(u), c.OutFeatures, rank, Dense.Floats(v), c.InFeatures, rank);
        using SharedBasis start = single.To(CPU, ScalarType.Float64);
        double captured = c.Count - Fit(deltas, c.Options() with { RankU = rank, RankV = rank }, start);
        double bound = Dense.SingularValues(sum).Take(rank).Sum(s => s * s) / c.Count;
        Assert.True(captured >= bound - 1e-5, $"captured {captured}, bound {bound}");
    });

    [Fact]
    public void The_error_respects_both_side_bounds_and_HOSVD_is_within_their_sum() => SmallCase.Check(c => // 3
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas());
        using JointFit fit = new JointDiagonalizer(c.Options()).Fit(factors);
        Assert.True(fit.TotalError >= fit.LowerBound - Slack, $"{fit.TotalError} < {fit.LowerBound}");
        using JointFit fromHosvd = new JointDiagonalizer(c.Options() with { TryMembers = false }).Fit(factors);
        Assert.True(fromHosvd.Trace[0] <= fit.TailU + fit.TailV + Slack);
        Assert.True(fit.TotalError <= fit.TailU + fit.TailV + Slack);
    });

    [Fact]
    public void The_fit_is_lossless_exactly_when_the_ranks_cover_both_stacks() => SmallCase.Check(c => // 4
    {
        LoraDelta[] deltas = c.Deltas();
        int stack = c.Count * Math.Min(c.LoraRank, Math.Min(c.OutFeatures, c.InFeatures));
        bool covered = c.RankU >= Math.Min(stack, c.OutFeatures) && c.RankV >= Math.Min(stack, c.InFeatures);
        double error = Fit(deltas, c.Options());
        Assert.True(covered ? error < 1e-20 : error > 1e-10, $"error {error}, covered {covered}");
    });

    [Fact]
    public void The_order_of_adapters_does_not_matter() => SmallCase.Check(c => // 7
    {
        // Two unit products of rank one are perfectly symmetric: the start is a saddle, and rounding decides the way down.
        if (c is { Count: 2, LoraRank: 1 })
            return;
        LoraDelta[] deltas = c.Deltas();
        FitOptions exact = c.Options(HalfStepMethod.Exact);
        Assert.Equal(Fit(deltas, exact), Fit([.. deltas.Reverse()], exact), Slack);
    });

    [Fact]
    public void Gauge_transformed_factors_give_the_same_fit() => SmallCase.Check(c => // 8
    {
        LoraDelta[] deltas = c.Deltas();
        // X = 2ᵃ I plus a shear; its inverse is exact in float32 for these values.
        LoraDelta[] transformed = [.. deltas.Select(d => Sheared(d, 0.5f))];
        Assert.Equal(Fit(deltas, c.Options()), Fit(transformed, c.Options()), 1e-5);
    });

    [Fact]
    public void Scaling_one_adapter_scales_its_core_and_nothing_else() => // 9
        Gen.Select(SmallCase.Any, Gen.Double[0.01, 100]).Sample(
            (c, factor) =>
            {
                LoraDelta[] deltas = c.Deltas();
                LoraDelta[] scaled = [.. deltas];
                LoraDelta last = deltas[^1];
                scaled[^1] = new LoraDelta(last.B, last.A, last.OutFeatures, last.InFeatures, last.Rank, last.Scale * factor);
                double[][,] before = Reconstructions(deltas, c), after = Reconstructions(scaled, c);
                for (int i = 0; i < deltas.Length; i++)
                {
                    double[,] expected = i == deltas.Length - 1 ? Dense.Scaled(before[i], factor) : before[i];
                    Assert.True(Dense.SquaredDistance(expected, after[i]) <= 1e-8 * (Dense.SquaredNorm(expected) + 1e-300));
                }
            },
            iter: SmallCase.Iterations,
            threads: 1);

    [Fact]
    public void Clusters_started_from_the_common_basis_are_never_worse() => SmallCase.Check(c => // 10
    {
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        var diagonalizer = new JointDiagonalizer(c.Options());
        using JointFit one = diagonalizer.Fit(factors);
        double clustered = 0;
        foreach (var group in Enumerable.Range(0, c.Count).GroupBy(i => i % 2))
        {
            using CanonicalFactors members = factors.Select([.. group]);
            using JointFit fit = diagonalizer.Fit(members, one.Basis);
            clustered += fit.TotalError;
        }

        Assert.True(clustered <= one.TotalError + Slack);
    });

    [Fact]
    public void A_larger_rank_started_from_the_smaller_solution_is_never_worse() => SmallCase.Check(c => // 12
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas());
        using JointFit small = new JointDiagonalizer(c.Options()).Fit(factors);
        FitOptions wider = c.Options() with { RankU = c.RankU + 1, RankV = c.RankV + 1 };
        using JointFit large = new JointDiagonalizer(wider).Fit(factors, small.Basis);
        Assert.True(large.TotalError <= small.TotalError + Slack);
    });

    [Fact]
    public void Compressing_the_reconstructions_again_is_lossless() => SmallCase.Check(c => // 14
    {
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(c.Options()).Fit(factors);
        double[,] u = Dense.From(fit.Basis.U), v = Dense.From(fit.Basis.V);
        LoraDelta[] rebuilt =
        [
            .. SigmaProjection.Project(factors, fit.Basis).Where(s => s.RelSqError < 1 - 1e-6).Select(s => new LoraDelta(
                Dense.Floats(Dense.Multiply(u, Dense.From(s.Values, s.RankU, s.RankV))), Dense.Floats(Dense.Transpose(v)),
                c.OutFeatures, c.InFeatures, s.RankV, 1)),
        ];
        if (rebuilt.Length > 0)
            Assert.True(Fit(rebuilt, c.Options()) < 1e-9);
    });

    private static double Fit(LoraDelta[] deltas, FitOptions options, SharedBasis? start = null)
    {
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(options).Fit(factors, start);
        return fit.TotalError;
    }

    private static double[][,] Reconstructions(LoraDelta[] deltas, SmallCase c)
    {
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(c.Options() with { Method = HalfStepMethod.Exact, Iterations = 2 }).Fit(factors);
        double[,] u = Dense.From(fit.Basis.U), v = Dense.Transpose(Dense.From(fit.Basis.V));
        return
        [
            .. SigmaProjection.Project(factors, fit.Basis)
                .Select(s => Dense.Multiply(Dense.Multiply(u, Dense.From(s.Values, s.RankU, s.RankV)), v)),
        ];
    }

    /// <summary>(B X, X⁻¹ A) with X = I + shear between neighbouring directions.</summary>
    private static LoraDelta Sheared(LoraDelta delta, float shear)
    {
        float[] b = [.. delta.B], a = [.. delta.A];
        for (int j = 1; j < delta.Rank; j++)
        {
            for (int i = 0; i < delta.OutFeatures; i++)
                b[(i * delta.Rank) + j] += shear * b[(i * delta.Rank) + j - 1];
            for (int i = 0; i < delta.InFeatures; i++)
                a[((j - 1) * delta.InFeatures) + i] -= shear * a[(j * delta.InFeatures) + i];
        }

        return new LoraDelta(b, a, delta.OutFeatures, delta.InFeatures, delta.Rank, delta.Scale);
    }
}
