using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests;

public sealed class SigmaProjectionTests
{
    [Fact]
    public void The_core_serves_the_projected_product_with_the_stated_error() => SmallCase.Check(c =>
    {
        LoraDelta[] deltas = c.Deltas();
        LoraDelta newcomer = Synthetic.Random(new Random(c.Seed + 1), c.OutFeatures, c.InFeatures, c.LoraRank, 3);
        using CanonicalFactors factors = Synthetic.Canonical(deltas, ScalarType.Float32);
        using JointFit fit = new JointDiagonalizer(c.Options()).Fit(factors);
        Sigma sigma = SigmaProjection.Project(newcomer, fit.Basis);

        double[,] product = Dense.Product(newcomer);
        double[,] u = Dense.From(fit.Basis.U), v = Dense.From(fit.Basis.V);
        double[,] served = Dense.Multiply(Dense.Multiply(u, Dense.From(sigma.Values, sigma.RankU, sigma.RankV)), Dense.Transpose(v));
        double squaredNorm = Dense.SquaredNorm(product);
        Assert.True(Dense.SquaredDistance(DenseAlternation.Reconstruct(product, u, v), served) < 1e-10 * squaredNorm);
        Assert.Equal(Dense.SquaredDistance(product, served) / squaredNorm, sigma.RelSqError, 1e-5);
        Assert.Equal(Math.Sqrt(squaredNorm), sigma.Norm, 1e-5 * Math.Sqrt(squaredNorm));
    });

    [Fact]
    public void A_non_symmetric_core_is_not_transposed()
    {
        using SharedBasis basis = SharedBasis.FromArrays([1, 0, 0, 1, 0, 0], 3, 2, [1, 0, 0, 1, 0, 0, 0, 0], 4, 2);
        // M = 5 e_0 e_1ᵀ
        Sigma sigma = SigmaProjection.Project(new LoraDelta([5, 0, 0], [0, 1, 0, 0], 3, 4, 1, 1), basis);
        Assert.Equal([0, 5, 0, 0], sigma.Values.Select(x => MathF.Round(x, 5)));
        Assert.Equal(0, sigma.RelSqError, 1e-10);
    }

    [Fact]
    public void A_basis_that_is_not_orthonormal_gets_the_least_squares_core()
    {
        var random = new Random(4);
        using SharedBasis basis = SharedBasis.FromArrays(Synthetic.Gaussian(random, 16), 8, 2, Synthetic.Gaussian(random, 21), 7, 3);
        LoraDelta delta = Synthetic.Random(random, 8, 7, 3);
        Sigma sigma = SigmaProjection.Project(delta, basis);
        double[,] residual = Dense.Combine(
            Dense.Product(delta),
            Dense.Multiply(Dense.Multiply(Dense.From(basis.U), Dense.From(sigma.Values, 2, 3)), Dense.Transpose(Dense.From(basis.V))),
            -1);
        double[,] gradient = Dense.Multiply(Dense.Multiply(Dense.Transpose(Dense.From(basis.U)), residual), Dense.From(basis.V));
        double squaredNorm = Dense.SquaredNorm(Dense.Product(delta));
        Assert.True(Dense.SquaredNorm(gradient) < 1e-8 * squaredNorm);
        Assert.Equal(Dense.SquaredNorm(residual) / squaredNorm, sigma.RelSqError, 1e-5);
    }

    [Fact]
    public void A_zero_product_has_a_zero_core_and_no_error()
    {
        using SharedBasis basis = SharedBasis.FromArrays([1, 0], 2, 1, [1, 0, 0], 3, 1);
        Sigma sigma = SigmaProjection.Project(new LoraDelta([0, 0], [1, 2, 3], 2, 3, 1, 1), basis);
        Assert.Equal([0f], sigma.Values);
        Assert.Equal((0.0, 0.0), (sigma.Norm, sigma.RelSqError));
    }

    [Fact]
    public void A_delta_of_another_shape_is_refused()
    {
        using SharedBasis basis = SharedBasis.FromArrays([1, 0], 2, 1, [1, 0, 0], 3, 1);
        var error = Assert.Throws<ArgumentException>(() => SigmaProjection.Project(Synthetic.Random(new Random(1), 3, 2, 1), basis));
        Assert.Contains("[3, 2]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[2, 3]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Small_errors_are_resolved_below_the_cancellation_floor()
    {
        // One direction of relative weight 1e-5 is left out: the error is 1e-10, far below what 1 − ‖Σ‖² shows in float32.
        var delta = new LoraDelta([1, 0, 0, 1e-5f, 0, 0], [1, 0, 0, 0, 1, 0], 3, 3, 2, 1);
        using SharedBasis basis = SharedBasis.FromArrays([1, 0, 0], 3, 1, [1, 0, 0], 3, 1);
        using CanonicalFactors factors = Synthetic.Canonical([delta], ScalarType.Float32);
        Assert.Equal(1e-10, ReconstructionError.Of(factors, basis)[0], 1e-13);
    }
}
