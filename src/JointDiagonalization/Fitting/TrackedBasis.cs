using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>An orthonormal basis of one side together with the stacked rows' products with it, which every step needs again.</summary>
/// <param name="Basis">X [d, r]</param>
/// <param name="Products">R X [k·l, r]</param>
internal sealed record TrackedBasis(Tensor Basis, Tensor Products) : IDisposable
{
    internal int Columns => (int)Basis.shape[1];

    internal static TrackedBasis Of(Tensor basis, Tensor rows) => new(basis, rows.mm(basis));

    /// <summary>(R X)_i (R X)_iᵀ of each product [k, l, l], float64: its energy through this basis, and the other side's weights.</summary>
    internal Tensor Grams(int count) => TensorMath.RowGrams(Products.view(count, -1, Products.shape[1]).to(ScalarType.Float64));

    public void Dispose()
    {
        Basis.Dispose();
        Products.Dispose();
    }

    internal TrackedBasis MoveToOuterScope()
    {
        Basis.MoveToOuterDisposeScope();
        Products.MoveToOuterDisposeScope();
        return this;
    }
}
