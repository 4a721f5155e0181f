using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>How one basis is improved while the other is held (spec/joint-diagonalization.md §3).</summary>
public enum HalfStepMethod
{
    /// <summary>Rayleigh–Ritz on the block-Krylov space [U, TU, T²U]; never increases the error.</summary>
    Krylov,

    /// <summary>Top eigenvectors of the dense operator; never increases the error.</summary>
    Exact,

    /// <summary>One power step and QR (appendix A.2 of the paper).</summary>
    Power,
}

internal static class HalfStep
{
    internal const int KrylovDepth = 3;

    /// <summary>The improved basis of <paramref name="rank"/> columns, in the precision of <paramref name="basis"/>, which has at least as many.</summary>
    internal static TrackedBasis Take(StackedOperator t, TrackedBasis basis, int rank, HalfStepMethod method)
    {
        if (rank == t.Dimension)
            return new TrackedBasis(basis.Basis.alias(), basis.Products.alias());
        if (method == HalfStepMethod.Power && rank == basis.Columns)
            return Tracked(TensorMath.Orthonormalise(t.Backward(basis.Products)));
        if (method == HalfStepMethod.Exact || KrylovDepth * basis.Columns >= t.Dimension)
            return Tracked(TensorMath.LargestEigenvectors(t.Dense(), rank).Vectors);
        TrackedBasis space = KrylovSpace(t, basis);
        Tensor x = TensorMath.LargestEigenvectors(t.Compress(space.Products), rank).Vectors;
        return new TrackedBasis(space.Basis.mm(x).to(basis.Basis.dtype), space.Products.mm(x.to(space.Products.dtype)));

        TrackedBasis Tracked(Tensor wide)
        {
            Tensor next = wide.to(basis.Basis.dtype);
            return new TrackedBasis(next, t.Forward(next));
        }
    }

    /// <summary>
    /// Orthonormal basis [d, min(3r, d)] of [U, TU, T²U] in float64. Each block is made orthogonal before the next is taken, so
    /// that its products serve both the next block and Rayleigh–Ritz.
    /// </summary>
    internal static TrackedBasis KrylovSpace(StackedOperator t, TrackedBasis start)
    {
        Tensor q = start.Basis.to(ScalarType.Float64);
        List<Tensor> products = [start.Products];
        for (int power = 1; power < KrylovDepth; power++)
        {
            int left = t.Dimension - (int)q.shape[1];
            if (left <= 0)
                break;
            Tensor block = OrthonormalBeside(q, t.Backward(products[^1]), left);
            q = cat([q, block], 1);
            products.Add(t.Forward(block));
        }

        return new TrackedBasis(q, cat(products, 1));
    }

    /// <summary>Orthonormal columns orthogonal to q that span with it what both span; as many as the block has, even when they are dependent.</summary>
    private static Tensor OrthonormalBeside(Tensor q, Tensor block, int limit) =>
        TensorMath.Orthonormalise(cat([q, block.to(ScalarType.Float64)], 1)).narrow(1, q.shape[1], Math.Min(block.shape[1], limit));
}
