using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>Least-squares diagonals on given bases (spec/joint-diagonalization.md §4 step 3).</summary>
internal static class DiagonalCores
{
    /// <summary>
    /// Share of the largest eigenvalue of the Gram of unit products u_j v_jᵀ below which a combination of them is left out. What
    /// lies there is smaller than the float32 rounding of the product, and would be multiplied by numbers of which a float32
    /// core keeps too few digits.
    /// </summary>
    private const double Dependent = 1e-8;

    /// <param name="gram">(UᵀU) ∘ (VᵀV), [r, r] float64.</param>
    /// <param name="b">diag(UᵀMV) of every product, [r, k] float64.</param>
    /// <returns>[r, k]; zero where a column of U or V is zero.</returns>
    internal static Tensor Solve(Tensor gram, Tensor b)
    {
        Tensor norms = gram.diagonal().sqrt();
        Tensor scale = norms.IsAbove(0).to(ScalarType.Float64) / norms.AtLeast(double.Epsilon);
        var (values, vectors) = linalg.eigh(gram * scale.outer(scale));
        double limit = Dependent * values.max().item<double>();
        Tensor inverse = values.IsAbove(limit).to(ScalarType.Float64) / values.AtLeast(Math.Max(limit, double.Epsilon));
        Tensor column = scale.unsqueeze(1);
        return column * vectors.mm(inverse.unsqueeze(1) * vectors.t().mm(column * b));
    }
}
