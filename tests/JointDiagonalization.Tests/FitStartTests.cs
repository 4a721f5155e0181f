using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests;

public sealed class FitStartTests
{
    [Fact]
    public void More_starts_are_never_worse() => SmallCase.Check(c =>
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas());
        double previous = double.PositiveInfinity;
        for (int restarts = 0; restarts <= 3; restarts++)
        {
            using JointFit fit = new JointDiagonalizer(c.Options() with { Restarts = restarts }).Fit(factors);
            Assert.True(fit.TotalError <= previous + 1e-8, $"{fit.TotalError} with {restarts} restarts, {previous} with fewer");
            previous = fit.TotalError;
        }
    });

    [Fact]
    public void Two_iterations_leave_the_saddle_where_many_equal_groups_put_HOSVD()
    {
        const int rank = 6;
        // 12 groups of 10 in planted spaces of 6 dimensions, of which the best basis takes one group after the other.
        LoraDelta[] deltas = Synthetic.Families(31, 120, 12, 160, 160, 6, 6, 0.5);
        using CanonicalFactors factors = Synthetic.Canonical(deltas, ScalarType.Float32);
        var options = new FitOptions { RankU = rank, RankV = rank, Iterations = 2 };
        using JointFit found = new JointDiagonalizer(options).Fit(factors);
        FitOptions hosvd = options with { TryMembers = false };
        using JointFit near = new JointDiagonalizer(hosvd).Fit(factors);
        using JointFit converged = new JointDiagonalizer(hosvd with { Iterations = 200, Tolerance = 1e-7 }).Fit(factors);
        Assert.True(near.TotalError > 1.005 * converged.TotalError, "HOSVD alone would do here");
        Assert.InRange(found.TotalError, 0, 1.005 * converged.TotalError);
    }

    [Fact]
    public void Tails_found_by_iteration_bound_the_dense_ones_from_below()
    {
        using var scope = NewDisposeScope();
        using CanonicalFactors factors = Synthetic.Canonical(Synthetic.Families(9, 60, 3, 200, 160, 4, 5, 0.4), ScalarType.Float32);
        for (int rank = 1; rank <= 9; rank += 4)
        {
            double whole = HigherOrderSvd.OutputSide(factors, rank, 0).Tail, found = HigherOrderSvd.OutputSide(factors, rank, 0, denseLimit: 0).Tail;
            Assert.InRange(found, 0.2 * whole, whole + 1e-5);
        }
    }

    [Fact]
    public void With_the_mean_product_among_the_starts_its_share_is_captured() => SmallCase.Check(c => // Theorem 1, lower
    {
        LoraDelta[] deltas = c.Deltas();
        int rank = Math.Min(Math.Min(c.RankU, c.RankV), Math.Min(c.OutFeatures, c.InFeatures));
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(c.Options() with { RankU = rank, RankV = rank, Restarts = 1 }).Fit(factors);
        double bound = Dense.SingularValues(Dense.Sum(deltas.Select(Dense.Unit))).Take(rank).Sum(s => s * s) / c.Count;
        Assert.True(c.Count - fit.TotalError >= bound - 1e-6, $"captured {c.Count - fit.TotalError}, bound {bound}");
    });

    [Fact]
    public void The_reduction_by_Grams_follows_the_unreduced_fit()
    {
        // 24 rows in 90 and 70 dimensions are reduced when a certificate is asked for.
        LoraDelta[] deltas = Synthetic.Families(21, 8, 2, 90, 70, 3, 4, 0.4);
        using CanonicalFactors factors = Synthetic.Canonical(deltas, ScalarType.Float32);
        var options = new FitOptions { RankU = 5, RankV = 4, Iterations = 30, Tolerance = 1e-9 };
        using JointFit reduced = new JointDiagonalizer(options).Fit(factors);
        using JointFit whole = new JointDiagonalizer(options with { Certify = false }).Fit(factors);
        Assert.Equal(whole.TotalError, reduced.TotalError, 1e-4 * whole.TotalError);
        Assert.True(reduced.LowerBound > 0 && reduced.LowerBound <= reduced.TotalError);
    }
}
