using Eigengate.JointDiagonalization.Tests.Support;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests;

public sealed class TruncatedSvdTests
{
    [Fact]
    public void Errors_are_the_dense_tails_of_the_spectrum() => SmallCase.Check(c =>
    {
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        double[] errors = TruncatedSvd.Errors(factors, c.RankU);
        for (int i = 0; i < deltas.Length; i++)
            Assert.Equal(Dense.SingularValues(Dense.Unit(deltas[i])).Skip(c.RankU).Sum(s => s * s), errors[i], 1e-9);
    });

    [Fact]
    public void The_truncated_delta_has_the_stated_error_and_rank() => SmallCase.Check(c =>
    {
        LoraDelta delta = c.Deltas()[0];
        using CanonicalFactors factors = Synthetic.Canonical([delta]);
        LoraDelta truncated = TruncatedSvd.Truncate(delta, c.RankU);
        double[,] product = Dense.Product(delta);
        double error = Dense.SquaredDistance(product, Dense.Product(truncated)) / Dense.SquaredNorm(product);
        Assert.Equal(TruncatedSvd.Errors(factors, c.RankU)[0], error, 1e-9);
        Assert.Equal(Math.Min(c.RankU, factors.SingularValues(0).Length), truncated.Rank);
    });

    [Fact]
    public void One_cluster_per_adapter_equals_the_truncation_of_the_same_rank() => SmallCase.Check(c => // §10.13
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas());
        double[] errors = TruncatedSvd.Errors(factors, c.RankU);
        for (int i = 0; i < factors.Count; i++)
        {
            using CanonicalFactors one = factors.Select([i]);
            using var fit = new JointDiagonalizer(c.Options() with { RankU = c.RankU, RankV = c.RankU }).Fit(one);
            Assert.Equal(errors[i], fit.TotalError, 1e-9);
        }
    });

    [Fact]
    public void A_zero_product_stays_zero()
    {
        LoraDelta zero = TruncatedSvd.Truncate(new LoraDelta(new float[8], new float[6], 4, 3, 2, 1), 2);
        Assert.Equal(1, zero.Rank);
        Assert.All(zero.B.Concat(zero.A), v => Assert.Equal(0, v));
    }

    [Theory]
    [InlineData(40, 30, 6)]
    [InlineData(1100, 1050, 12)]
    public void A_dense_matrix_of_known_spectrum_keeps_its_largest_triplets(int rows, int columns, int rank)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7);
        int directions = Math.Min(rows, columns);
        Tensor u = linalg.qr(randn(rows, directions, generator: generator)).Q, v = linalg.qr(randn(columns, directions, generator: generator)).Q;
        // 1/j decays slowly: half of the energy beyond the first triplet.
        double[] spectrum = [.. Enumerable.Range(1, directions).Select(j => 1.0 / j)];
        Tensor matrix = (u * tensor([.. spectrum.Select(s => (float)s)])).mm(v.t());
        var (left, values, right) = TruncatedSvd.OfDense(matrix, rank, seed: 3);
        Assert.Equal(spectrum.Take(rank), values.Select(value => (double)value), (a, b) => Math.Abs(a - b) < 1e-3 * a);
        double tail = spectrum.Skip(rank).Sum(s => s * s);
        double lost = (matrix - (left * tensor(values)).mm(right.t())).square().sum().ToDouble();
        Assert.InRange(lost, tail * 0.9999, tail * 1.001);
        double skew = (left.t().mm(left) - eye(rank)).abs().max().ToDouble() + (right.t().mm(right) - eye(rank)).abs().max().ToDouble();
        Assert.True(skew < 1e-4, $"{skew}");
    }
}
