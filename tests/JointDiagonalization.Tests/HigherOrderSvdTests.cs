using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests;

/// <summary>Sizes beyond which the basis comes from iteration and the certificate from float32 eigenvalues, against dense float64.</summary>
public sealed class HigherOrderSvdTests
{
    private const int Dimension = 420;
    private const int Rank = 12;

    [Fact]
    public void The_certified_tail_of_a_larger_module_is_just_below_the_float64_one()
    {
        using var scope = NewDisposeScope();
        using CanonicalFactors factors = Synthetic.Canonical(Synthetic.Families(1, 60, 3, Dimension, Dimension, 8, 6, 0.2), ScalarType.Float32);
        double exact = Spectrum(factors).Skip(Rank).Sum();
        double tail = HigherOrderSvd.OutputSide(factors, Rank, seed: 0).Tail;
        Assert.InRange(tail, exact * (1 - 1e-4), exact);
    }

    [Fact]
    public void Its_basis_captures_what_the_leading_eigenvectors_do()
    {
        using var scope = NewDisposeScope();
        using CanonicalFactors factors = Synthetic.Canonical(Synthetic.Families(2, 60, 2, Dimension, Dimension, 8, 6, 0.1), ScalarType.Float32);
        HigherOrderSvd side = HigherOrderSvd.OutputSide(factors, Rank, seed: 0);
        Tensor projected = factors.F.mm(side.Basis).to(ScalarType.Float64);
        double best = Spectrum(factors).Take(Rank).Sum();
        Assert.InRange(projected.mul(projected).sum().item<double>(), best * 0.999, best * (1 + 1e-6));
    }

    [Fact]
    public void Products_that_span_less_than_the_rank_get_a_narrower_basis()
    {
        LoraDelta one = Synthetic.Random(new Random(3), Dimension, Dimension, 8);
        using CanonicalFactors factors = Synthetic.Canonical(Enumerable.Repeat(one, 60), ScalarType.Float32);
        HigherOrderSvd side = HigherOrderSvd.OutputSide(factors, Rank, seed: 0);
        Assert.Equal([Dimension, 8], side.Basis.shape);
        Assert.InRange(side.Tail, 0, 1e-9 * factors.Count);
    }

    [Fact]
    public void Eigenvalues_without_vectors_are_those_of_the_dense_operator()
    {
        using var scope = NewDisposeScope();
        using CanonicalFactors factors = Synthetic.Canonical(Synthetic.Unstructured(4, 70, Dimension, 300, 8), ScalarType.Float32);
        StackedOperator t = HigherOrderSvd.InputOperator(factors);
        double[] exact = TensorMath.LargestEigenvectors(t.Dense(), 1).Values, values = t.Eigenvalues();
        Assert.Equal(exact.Length, values.Length);
        Assert.All(exact.Zip(values), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * exact[0]));
        Assert.Equal(exact.Sum(), t.Trace(), 1e-6 * exact.Sum());
    }

    /// <summary>Eigenvalues of Σ M̂M̂ᵀ = Σ FFᵀ, falling, in float64.</summary>
    private static double[] Spectrum(CanonicalFactors factors)
    {
        Tensor rows = factors.F.to(ScalarType.Float64);
        return [.. linalg.eigvalsh(rows.t().mm(rows)).data<double>().ToArray().OrderDescending()];
    }
}
