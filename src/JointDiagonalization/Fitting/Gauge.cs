using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// (U X, XᵀΣY, V Y) is the same approximation for orthogonal X, Y. Files become reproducible by one choice: Σ ΣᵢΣᵢᵀ and
/// Σ ΣᵢᵀΣᵢ diagonal and descending, each basis column's largest entry positive (spec/joint-diagonalization.md §3).
/// </summary>
internal static class Gauge
{
    /// <param name="u">U in float64, with F U.</param>
    /// <param name="v">V in float64, with G V.</param>
    /// <param name="count">k</param>
    /// <param name="dtype">Precision of the result.</param>
    internal static SharedBasis Canonicalise(TrackedBasis u, TrackedBasis v, int count, ScalarType dtype)
    {
        Tensor x = Principal(u, v, count), y = Principal(v, u, count);
        return new SharedBasis(PositiveColumns(u.Basis.mm(x)).to(dtype), PositiveColumns(v.Basis.mm(y)).to(dtype));
    }

    /// <summary>Eigenvectors of Σ_i Z_iᵀ K_i Z_i, descending, with K_i the other side's Grams.</summary>
    private static Tensor Principal(TrackedBasis side, TrackedBasis other, int count)
    {
        Tensor energy = new StackedOperator(side.Products, other.Grams(count)).Compress(side.Products);
        return TensorMath.LargestEigenvectors(energy, side.Columns).Vectors;
    }

    internal static Tensor PositiveColumns(Tensor basis)
    {
        Tensor largest = basis.abs().argmax(0, keepdim: true);
        return basis * basis.gather(0, largest).sign();
    }
}
