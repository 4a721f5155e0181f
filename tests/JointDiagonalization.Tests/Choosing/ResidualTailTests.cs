using Eigengate.JointDiagonalization.Choosing;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests.Choosing;

public sealed class ResidualTailTests
{
    [Fact]
    public void The_remainder_after_t_pairs_is_that_of_the_dense_remainders_spectrum() => SmallCase.Check(small =>
    {
        LoraDelta[] deltas = small.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using JointFit fit = new JointDiagonalizer(small.Options()).Fit(factors);
        using var scope = NewDisposeScope();
        double[][] errors = ResidualTail.Errors(
            factors.BatchedF.square().sum(2),
            ReconstructionError.Projected(factors.F, fit.Basis.U, factors),
            ReconstructionError.Projected(factors.G, fit.Basis.V, factors),
            [0, 1, 2, 30]);

        double[,] u = Dense.From(fit.Basis.U), v = Dense.From(fit.Basis.V);
        for (int i = 0; i < deltas.Length; i++)
        {
            double[,] unit = Dense.Unit(deltas[i]);
            double[,] core = Dense.Multiply(Dense.Multiply(Dense.Transpose(u), unit), v);
            double[,] remainder = Dense.Combine(unit, Dense.Multiply(Dense.Multiply(u, core), Dense.Transpose(v)), -1);
            double[] spectrum = Dense.SingularValues(remainder);
            Assert.Equal(spectrum.Sum(s => s * s), errors[0][i], 1e-9);
            Assert.Equal(spectrum.Skip(1).Sum(s => s * s), errors[1][i], 1e-9);
            Assert.Equal(spectrum.Skip(2).Sum(s => s * s), errors[2][i], 1e-9);
            Assert.Equal(0, errors[3][i]);
        }
    });
}
