using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests;

/// <summary>Fits against dense float64 oracles and closed forms.</summary>
public sealed class JointDiagonalizerTests
{
    [Fact]
    public void Exact_alternation_follows_the_dense_oracle() => SmallCase.Check(c =>
    {
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(c.Options(HalfStepMethod.Exact) with { Iterations = 5, TryMembers = false }).Fit(factors);
        double[] oracle = DenseAlternation.Trace([.. deltas.Select(Dense.Unit)], c.LoraRank, c.RankU, c.RankV, 5);
        for (int i = 0; i < fit.Trace.Count; i++)
            Assert.Equal(oracle[i], fit.Trace[i], 1e-8);
    });

    [Fact]
    public void Reported_errors_are_those_of_the_dense_reconstruction() => SmallCase.Check(c =>
    {
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(c.Options()).Fit(factors);
        double[,] u = Dense.From(fit.Basis.U), v = Dense.From(fit.Basis.V);
        for (int i = 0; i < deltas.Length; i++)
            Assert.Equal(DenseAlternation.Error([Dense.Unit(deltas[i])], u, v), fit.Errors[i], 1e-10);
    });

    [Fact]
    public void One_product_reaches_Eckart_Young() => SmallCase.Check(c =>
    {
        LoraDelta delta = c.Deltas()[0];
        using CanonicalFactors factors = Synthetic.Canonical([delta]);
        int rank = Math.Min(c.RankU, c.RankV);
        using JointFit fit = new JointDiagonalizer(c.Options() with { RankU = rank, RankV = rank }).Fit(factors);
        Assert.Equal(Dense.SingularValues(Dense.Unit(delta)).Skip(rank).Sum(s => s * s), fit.TotalError, 1e-9);
    });

    [Theory]
    [InlineData(HalfStepMethod.Krylov)]
    [InlineData(HalfStepMethod.Exact)]
    [InlineData(HalfStepMethod.Power)]
    public void Alternation_never_increases_the_error(HalfStepMethod method) => SmallCase.Check(c =>
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas(), ScalarType.Float32);
        using JointFit fit = new JointDiagonalizer(c.Options(method)).Fit(factors);
        for (int i = 1; i < fit.Trace.Count; i++)
            Assert.True(fit.Trace[i] <= fit.Trace[i - 1] + (1e-6 * c.Count), $"{fit.Trace[i]} after {fit.Trace[i - 1]}");
    });

    [Theory]
    [InlineData(HalfStepMethod.Krylov, 1e-3)]
    [InlineData(HalfStepMethod.Power, 3e-2)]
    public void Iterative_half_steps_come_close_to_exact_ones(HalfStepMethod method, double slack)
    {
        LoraDelta[] deltas = Synthetic.Families(11, 30, 3, 64, 48, 4, 6, 0.3);
        using CanonicalFactors factors = Synthetic.Canonical(deltas, ScalarType.Float32);
        var options = new FitOptions { RankU = 8, RankV = 8, Tolerance = 0, Method = HalfStepMethod.Exact };
        using JointFit exact = new JointDiagonalizer(options).Fit(factors);
        using JointFit fit = new JointDiagonalizer(options with { Method = method }).Fit(factors);
        Assert.InRange(fit.TotalError, exact.TotalError * (1 - slack), exact.TotalError * (1 + slack));
    }

    [Fact]
    public void Bases_are_orthonormal_and_in_canonical_gauge() => SmallCase.Check(c =>
    {
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(c.Options()).Fit(factors);
        double[,] u = Dense.From(fit.Basis.U), v = Dense.From(fit.Basis.V);
        double[][,] cores = [.. deltas.Select(d => Dense.Multiply(Dense.Multiply(Dense.Transpose(u), Dense.Unit(d)), v))];
        RequireDiagonal(Dense.Multiply(Dense.Transpose(u), u), ones: true);
        RequireDiagonal(Dense.Multiply(Dense.Transpose(v), v), ones: true);
        RequireDiagonal(Dense.Sum(cores.Select(s => Dense.Multiply(s, Dense.Transpose(s)))), ones: false);
        RequireDiagonal(Dense.Sum(cores.Select(s => Dense.Multiply(Dense.Transpose(s), s))), ones: false);
        foreach (double[,] basis in new[] { u, v })
        {
            for (int j = 0; j < basis.GetLength(1); j++)
                Assert.True(Enumerable.Range(0, basis.GetLength(0)).Select(i => basis[i, j]).MaxBy(Math.Abs) > 0);
        }

        static void RequireDiagonal(double[,] square, bool ones)
        {
            for (int i = 0; i < square.GetLength(0); i++)
            {
                for (int j = 0; j < square.GetLength(1); j++)
                {
                    if (i != j)
                        Assert.Equal(0, square[i, j], 1e-9);
                    else if (ones)
                        Assert.Equal(1, square[i, i], 1e-10);
                    else if (i > 0)
                        Assert.True(square[i, i] <= square[i - 1, i - 1] + 1e-9);
                }
            }
        }
    });

    [Fact]
    public void A_large_module_without_dense_eigensolves_reaches_nearly_the_same_error()
    {
        // 3 x 600 rows in 1600 dimensions: above the dense limit, so HOSVD runs on the iterative path.
        LoraDelta[] deltas = Synthetic.Families(4, 200, 2, 1600, 32, 8, 6, 0.2);
        using CanonicalFactors factors = Synthetic.Canonical(deltas, ScalarType.Float32);
        using JointFit fit = new JointDiagonalizer(new FitOptions { RankU = 12, RankV = 12 }).Fit(factors);
        Assert.InRange(fit.LowerBound, 1e-4 * fit.TotalError, fit.TotalError);
        // Without noise 12 dimensions hold both families; the noise leaves 1 − 1/((1 + s²)(1 + s²)) or so.
        Assert.InRange(fit.TotalError / deltas.Length, 0.001, 0.12);
        Assert.Equal(fit.Trace[^1], fit.TotalError, 1e-4 * deltas.Length);
    }

    [Fact]
    public void Live_tensors_stay_flat_over_many_fits()
    {
        LoraDelta[] deltas = Synthetic.Unstructured(1, 4, 40, 12, 2);
        Fit();
        long before = TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 5; i++)
            Fit();
        Assert.Equal(before, TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Fit()
        {
            using CanonicalFactors factors = Synthetic.Canonical(deltas, ScalarType.Float32);
            using JointFit fit = new JointDiagonalizer(new FitOptions { RankU = 3, RankV = 2 }).Fit(factors);
            using JointFit again = new JointDiagonalizer(new FitOptions { RankU = 3, RankV = 3 }).Fit(factors, fit.Basis);
            SigmaProjection.Project(factors, fit.Basis);
        }
    }
}
