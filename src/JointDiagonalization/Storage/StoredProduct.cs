namespace Eigengate.JointDiagonalization.Storage;

/// <summary>One adapter's own part of one module: y += U Σ Vᵀ x + P Qᵀ x.</summary>
/// <param name="Adapter">Its number in the run.</param>
/// <param name="Norm">‖M‖ of the product; 0 where the adapter has none.</param>
/// <param name="RelSqError">‖M − UΣVᵀ − PQᵀ‖² / ‖M‖² as served, after rounding; 0 for a zero product. May exceed 1 for a merge.</param>
/// <param name="Core">Σ [r_U, r_V], or its diagonal [r]; null without a basis.</param>
/// <param name="Residual">Null when there is none.</param>
internal sealed record StoredProduct(int Adapter, double Norm, double RelSqError, StoredTensor? Core, StoredPair? Residual);

/// <summary>A private low-rank part P Qᵀ, the norm folded into P.</summary>
/// <param name="P">[d_out, t]</param>
/// <param name="Q">[d_in, t], columns of unit norm up to rounding.</param>
internal sealed record StoredPair(StoredTensor P, StoredTensor Q)
{
    internal const string SuffixP = ".P";
    internal const string SuffixQ = ".Q";
}
