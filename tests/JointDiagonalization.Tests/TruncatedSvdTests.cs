using Eigengate.JointDiagonalization.Tests.Support;

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
}
