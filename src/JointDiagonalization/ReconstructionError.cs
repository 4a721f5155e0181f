using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// Relative squared Frobenius error ‖M̂ − U Σ Vᵀ‖² of unit products with the best core, per product
/// (spec/joint-diagonalization.md §2). 0 is lossless, 1 is nothing kept.
/// </summary>
public static class ReconstructionError
{
    /// <summary>Below this the subtraction 1 − ‖Σ‖² loses its digits in float32.</summary>
    public const double CancellationLimit = 1e-3;

    /// <summary>Errors of all products, with the exact split where the cheap form would cancel.</summary>
    public static double[] Of(CanonicalFactors factors, SharedBasis basis)
    {
        double[] errors = Cheap(factors, basis);
        int[] small = [.. Enumerable.Range(0, errors.Length).Where(i => errors[i] < CancellationLimit)];
        if (small.Length == 0)
            return errors;
        using CanonicalFactors part = factors.Select(small);
        double[] exact = Split(part, basis);
        for (int i = 0; i < small.Length; i++)
            errors[small[i]] = exact[i];
        return errors;
    }

    /// <summary>1 − ‖Σ‖², clamped at 0; the floor is about 1e-6 in float32.</summary>
    public static double[] Cheap(CanonicalFactors factors, SharedBasis basis)
    {
        double[] captured = Captured(factors, basis);
        return [.. captured.Select(c => Math.Max(0, 1 - c))];
    }

    /// <summary>‖F − U UᵀF‖² + ‖(UᵀF)(G − V VᵀG)ᵀ‖²: no cancellation.</summary>
    public static double[] Split(CanonicalFactors factors, SharedBasis basis)
    {
        using var scope = NewDisposeScope();
        // Residuals of a float32 projection are float32 rounding; in float64 they are what is left of the stored basis.
        Tensor f = factors.F.to(ScalarType.Float64), g = factors.G.to(ScalarType.Float64);
        Tensor u = basis.U.to(ScalarType.Float64), v = basis.V.to(ScalarType.Float64);
        Tensor z = f.mm(u);
        Tensor lostOutput = (f - z.mm(u.t())).Squared().view(factors.Count, -1).sum(1);
        Tensor restG = (g - g.mm(v).mm(v.t())).view(factors.Count, factors.Width, -1);
        Tensor lostInput = z.view(factors.Count, factors.Width, -1).transpose(1, 2).bmm(restG).Squared().sum(new long[] { 1, 2 });
        return lostOutput.Plus(lostInput).ToDoubles();
    }

    /// <summary>‖UᵀM̂V‖² of every product in float64, through l x l Grams: no core is formed.</summary>
    internal static double[] Captured(CanonicalFactors factors, SharedBasis basis)
    {
        using var scope = NewDisposeScope();
        return Captured(Projected(factors.F, basis.U, factors), Projected(factors.G, basis.V, factors)).ToDoubles();
    }

    /// <summary>The same from Z = FᵀU [k, l, r_U] and W = GᵀV [k, l, r_V].</summary>
    internal static Tensor Captured(Tensor z, Tensor w) => (TensorMath.RowGrams(z) * TensorMath.RowGrams(w)).sum(new long[] { 1, 2 });

    /// <summary>Stacked rows times a basis, as [k, l, r] in float64.</summary>
    internal static Tensor Projected(Tensor rows, Tensor basis, CanonicalFactors factors) =>
        rows.mm(basis).view(factors.Count, factors.Width, -1).to(ScalarType.Float64);
}
