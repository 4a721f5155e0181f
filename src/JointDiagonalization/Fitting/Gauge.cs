using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// (U X, XᵀΣY, V Y) is the same approximation for orthogonal X, Y. Files become reproducible by one choice: Σ ΣᵢΣᵢᵀ and
/// Σ ΣᵢᵀΣᵢ diagonal and descending, each basis column's largest entry positive (spec/joint-diagonalization.md §3).
/// </summary>
internal static class Gauge
{
    internal static SharedBasis Canonicalise(CanonicalFactors reduced, Tensor u, Tensor v, ExactReduction reduction)
    {
        Tensor z = ReconstructionError.Projected(reduced.F, u, reduced);
        Tensor w = ReconstructionError.Projected(reduced.G, v, reduced);
        Tensor x = Principal(z, TensorMath.RowGrams(w)), y = Principal(w, TensorMath.RowGrams(z));
        return new SharedBasis(
            PositiveColumns(reduction.LiftU(u.to(ScalarType.Float64).mm(x))).to(u.dtype),
            PositiveColumns(reduction.LiftV(v.to(ScalarType.Float64).mm(y))).to(v.dtype));
    }

    /// <summary>Eigenvectors of Σ_i Z_iᵀ K_i Z_i, descending.</summary>
    private static Tensor Principal(Tensor z, Tensor weights)
    {
        Tensor energy = z.transpose(1, 2).bmm(weights).bmm(z).sum(dim: 0);
        return TensorMath.LargestEigenvectors((energy + energy.t()) * TensorMath.Half, (int)energy.shape[0]).Vectors;
    }

    internal static Tensor PositiveColumns(Tensor basis)
    {
        Tensor largest = basis.abs().argmax(0, keepdim: true);
        return basis * basis.gather(0, largest).sign();
    }
}
