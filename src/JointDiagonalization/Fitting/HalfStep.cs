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

    /// <summary>The improved basis [d, rank], in the precision of <paramref name="basis"/>, which has at least as many columns.</summary>
    internal static Tensor Take(StackedOperator t, Tensor basis, int rank, HalfStepMethod method)
    {
        int columns = (int)basis.shape[1];
        if (rank == t.Dimension)
            return basis.alias();
        if (method == HalfStepMethod.Power && rank == columns)
            return TensorMath.Orthonormalise(t.Apply(basis)).to(basis.dtype);
        if (method == HalfStepMethod.Exact || KrylovDepth * columns >= t.Dimension)
            return TensorMath.LargestEigenvectors(t.Dense(), rank).Vectors.to(basis.dtype);
        Tensor q = KrylovSpace(t, basis);
        return q.mm(TensorMath.LargestEigenvectors(t.Compress(q.to(basis.dtype)), rank).Vectors).to(basis.dtype);
    }

    /// <summary>Orthonormal basis [d, min(3r, d)] of [U, TU, T²U], float64.</summary>
    internal static Tensor KrylovSpace(StackedOperator t, Tensor basis)
    {
        List<Tensor> blocks = [basis];
        for (int power = 1; power < KrylovDepth; power++)
            blocks.Add(t.Apply(blocks[^1]));
        return TensorMath.Orthonormalise(cat(blocks, 1));
    }
}
