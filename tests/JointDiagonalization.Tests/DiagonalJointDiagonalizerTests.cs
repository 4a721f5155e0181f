using CsCheck;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Fitting.Diagonal;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests;

public sealed class DiagonalJointDiagonalizerTests
{
    private const double Slack = 1e-8;
    private const int Rank = 3;

    [Fact]
    public void Sweeps_follow_the_alternation_on_materialised_products()
    {
        LoraDelta[] deltas = Synthetic.Unstructured(5, 6, 9, 7, 2);
        double[][,] units = [.. deltas.Select(Dense.Unit)];
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        var (u, v) = GreedyPairs.Choose(factors, Rank);
        double[] expected = DenseDiagonal.Trace(units, Dense.From(u), Dense.From(v), 3);

        var alternation = new DiagonalAlternation(factors);
        DiagonalState state = alternation.StateOf(u, v);
        Assert.Equal(expected[0], state.Error, Slack);
        for (int sweep = 1; sweep < expected.Length; sweep++)
        {
            state = alternation.Sweep(state);
            Assert.Equal(expected[sweep], state.Error, Slack);
            Assert.Equal(expected[sweep], DenseDiagonal.Error(units, Dense.From(state.U), Dense.From(state.V), Rows(state.D)), Slack);
        }
    }

    [Fact]
    public void A_converged_fit_is_as_good_as_the_converged_twin()
    {
        LoraDelta[] deltas = Synthetic.Unstructured(8, 5, 8, 6, 2);
        double[][,] units = [.. deltas.Select(Dense.Unit)];
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        var (u, v) = GreedyPairs.Choose(factors, Rank);
        double twin = DenseDiagonal.Trace(units, Dense.From(u), Dense.From(v), 400)[^1];
        using JointFit fit = Fit(factors, new DiagonalFitOptions { Rank = Rank, Sweeps = 400, Tolerance = 0 });
        Assert.True(fit.TotalError <= twin + 1e-4, $"{fit.TotalError} against {twin}");
    }

    [Fact]
    public void The_stated_error_is_that_of_the_dense_reconstruction() => SmallCase.Check(c =>
    {
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = Fit(factors, c.RankU);
        double[,] u = Dense.From(fit.Basis.U), v = Dense.From(fit.Basis.V);
        Sigma[] cores = SigmaProjection.ProjectDiagonal(factors, fit.Basis);
        for (int i = 0; i < deltas.Length; i++)
        {
            double[,] product = Dense.Product(deltas[i]);
            double[,] served = DenseDiagonal.Rebuild(u, v, [.. cores[i].Values.Select(d => (double)d)]);
            Assert.Equal(Dense.SquaredDistance(product, served) / Dense.SquaredNorm(product), cores[i].RelSqError, 1e-6);
        }

        Assert.Equal(fit.Trace[^1], fit.TotalError, 1e-6);
    });

    [Fact]
    public void The_error_never_increases_along_sweeps() => SmallCase.Check(c => // §10.6
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas());
        using JointFit fit = Fit(factors, c.RankU);
        Assert.All(fit.Trace.Zip(fit.Trace.Skip(1)), pair => Assert.True(pair.Second <= pair.First + Slack, $"{pair}"));
    });

    [Fact]
    public void Free_cores_started_from_the_diagonal_bases_are_never_worse() => SmallCase.Check(c => // §10.11
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas());
        using JointFit diagonal = Fit(factors, c.RankU);
        var (qu, _) = linalg.qr(diagonal.Basis.U);
        var (qv, _) = linalg.qr(diagonal.Basis.V);
        using var start = new SharedBasis(qu, qv);
        FitOptions options = c.Options() with { RankU = start.RankU, RankV = start.RankV };
        using JointFit full = new JointDiagonalizer(options).Fit(factors, start);
        Assert.True(full.TotalError <= diagonal.TotalError + Slack, $"{full.TotalError} > {diagonal.TotalError}");
        Assert.True(diagonal.TotalError >= diagonal.LowerBound - Slack);
    });

    [Fact]
    public void One_adapter_keeps_its_largest_singular_values() => SmallCase.Check(c => // §10.5
    {
        LoraDelta delta = c.Deltas()[0];
        using CanonicalFactors factors = Synthetic.Canonical([delta]);
        using JointFit fit = Fit(factors, c.RankU);
        Assert.Equal(Dense.SingularValues(Dense.Unit(delta)).Skip(c.RankU).Sum(s => s * s), fit.TotalError, 1e-7);
    });

    [Fact]
    public void A_rank_for_every_singular_pair_is_lossless()
    {
        using CanonicalFactors factors = Synthetic.Canonical(Synthetic.Unstructured(3, 4, 20, 17, 2));
        using JointFit fit = Fit(factors, 8);
        Assert.True(fit.TotalError < 1e-10, $"{fit.TotalError}");
        Assert.Equal((8, 8), (fit.Basis.RankU, fit.Basis.RankV));
    }

    [Fact]
    public void Products_of_common_rank_one_terms_are_found_again()
    {
        var random = new Random(2);
        float[] b = Synthetic.Gaussian(random, 15 * 4), a = Synthetic.Gaussian(random, 4 * 12);
        LoraDelta[] deltas = [.. Enumerable.Range(0, 9).Select(_ => Mixed())];
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = Fit(factors, new DiagonalFitOptions { Rank = 4, Sweeps = 2000, Tolerance = 1e-9 });
        Assert.True(fit.TotalError < 1e-5, $"{fit.TotalError}");

        LoraDelta Mixed()
        {
            float[] weights = Synthetic.Gaussian(random, 4);
            return new LoraDelta([.. b.Select((x, i) => x * weights[i % 4])], a, 15, 12, 4, 1);
        }
    }

    [Fact]
    public void Shared_input_factors_of_few_directions_still_use_every_column()
    {
        // All adapters share A: the input stack has rank 2, where JD-Full would stop at two columns of V.
        var random = new Random(4);
        float[] a = Synthetic.Gaussian(random, 2 * 10);
        LoraDelta[] deltas = [.. Enumerable.Range(0, 5).Select(_ => new LoraDelta(Synthetic.Gaussian(random, 12 * 2), a, 12, 10, 2, 1))];
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit two = Fit(factors, 2);
        using JointFit six = Fit(factors, 6);
        Assert.Equal(6, six.Basis.RankU);
        Assert.True(six.TotalError < 0.7 * two.TotalError, $"{six.TotalError} against {two.TotalError}");
    }

    [Fact]
    public void A_degenerate_collection_keeps_its_cores_bounded()
    {
        // e1 e2ᵀ + e2 e1ᵀ-like derivatives have border rank below their rank: the infimum is not attained (§4).
        float[] e1 = [1, 0, 0, 0], e2 = [0, 1, 0, 0];
        LoraDelta first = new([1, 0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0, 0, 0], 4, 4, 2, 1), second = new(e1, e1, 4, 4, 1, 1), third = new(e2, e2, 4, 4, 1, 1);
        using CanonicalFactors factors = Synthetic.Canonical([first, second, third]);
        using JointFit fit = Fit(factors, new DiagonalFitOptions { Rank = 2, Sweeps = 3000, Tolerance = 0 });
        Assert.All(SigmaProjection.ProjectDiagonal(factors, fit.Basis).SelectMany(s => s.Values), d => Assert.True(Math.Abs(d) < 20));
    }

    [Fact]
    public void Projected_sweeps_lose_little_and_only_one_full_sweep_is_added()
    {
        LoraDelta[] deltas = Synthetic.Families(6, 30, 3, 90, 70, 4, 5, 0.3);
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        var options = new DiagonalFitOptions { Rank = 6, Sweeps = 300, Tolerance = 1e-9 };
        using JointFit projected = Fit(factors, options);
        var alternation = new DiagonalAlternation(factors);
        DiagonalState state = alternation.StateOf(projected.Basis.U, projected.Basis.V);
        double before = state.Error;
        for (int sweep = 0; sweep < 100; sweep++)
            state = alternation.Sweep(state);
        Assert.True(before <= 1.01 * state.Error, $"{before} against {state.Error}");
    }

    [Fact]
    public void Columns_have_unit_norm_and_a_positive_largest_entry_and_come_strongest_first()
    {
        using CanonicalFactors factors = Synthetic.Canonical(Synthetic.Unstructured(7, 8, 11, 13, 3));
        using JointFit fit = Fit(factors, 5);
        foreach (Tensor basis in new[] { fit.Basis.U, fit.Basis.V })
        {
            Assert.All(basis.square().sum(dim: 0).ToDoubles(), norm => Assert.Equal(1, norm, 1e-9));
            Assert.True((basis.max(0).values >= -basis.min(0).values).all().item<bool>());
        }

        double[][] cores = [.. SigmaProjection.ProjectDiagonal(factors, fit.Basis).Select(s => s.Values.Zip(factors.Norms, (d, _) => (double)d).ToArray())];
        double[] energy = [.. Enumerable.Range(0, 5).Select(j => cores.Select((c, i) => Math.Pow(c[j] / factors.Norms[i], 2)).Sum())];
        Assert.Equal(energy.OrderDescending(), energy);
    }

    [Theory]
    [InlineData(1e-3)]
    [InlineData(1e-4)]
    [InlineData(1e-5)]
    [InlineData(1e-6)]
    [InlineData(0)]
    public void On_nearly_equal_columns_the_stated_error_is_still_that_of_the_stored_core(double apart)
    {
        LoraDelta[] deltas = Synthetic.Unstructured(3, 6, 4, 4, 3);
        using CanonicalFactors factors = Synthetic.Canonical(deltas, ScalarType.Float32);
        using JointFit fit = Fit(factors, 3);
        float[] u = [.. Rows(fit.Basis.U).SelectMany((row, i) => new[] { row[0], row[1], row[0] + (apart * ((i % 3) - 1)) }).Select(x => (float)x)];
        float[] v = [.. Rows(fit.Basis.V).SelectMany((row, i) => new[] { row[0], row[1], row[0] + (apart * (i < 2 ? 1 : -1)) }).Select(x => (float)x)];
        using SharedBasis basis = SharedBasis.FromArrays(u, 4, 3, v, 4, 3);
        Sigma[] cores = SigmaProjection.ProjectDiagonal(factors, basis);
        for (int i = 0; i < deltas.Length; i++)
        {
            double[,] product = Dense.Product(deltas[i]);
            double[,] served = DenseDiagonal.Rebuild(Dense.From(basis.U), Dense.From(basis.V), [.. cores[i].Values.Select(d => (double)d)]);
            Assert.Equal(Dense.SquaredDistance(product, served) / Dense.SquaredNorm(product), cores[i].RelSqError, 1e-5);
        }
    }

    [Fact]
    public void Unequal_ranks_have_no_diagonal()
    {
        using CanonicalFactors factors = Synthetic.Canonical(Synthetic.Unstructured(1, 2, 4, 4, 1));
        using SharedBasis basis = SharedBasis.FromArrays(new float[8], 4, 2, new float[4], 4, 1);
        Assert.Throws<ArgumentException>(() => SigmaProjection.ProjectDiagonal(factors, basis));
    }

    private static JointFit Fit(CanonicalFactors factors, int rank) => Fit(factors, new DiagonalFitOptions { Rank = rank });

    private static JointFit Fit(CanonicalFactors factors, DiagonalFitOptions options) => new DiagonalJointDiagonalizer(options).Fit(factors);

    private static double[][] Rows(Tensor matrix)
    {
        double[,] values = Dense.From(matrix);
        return [.. Enumerable.Range(0, values.GetLength(0)).Select(i => Enumerable.Range(0, values.GetLength(1)).Select(j => values[i, j]).ToArray())];
    }
}
