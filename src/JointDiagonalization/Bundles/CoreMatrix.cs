using Eigengate.JointDiagonalization.Storage;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>One core in serving form, y += U Σ Vᵀ x: row-major [r_U, r_V], norm folded in.</summary>
public sealed record CoreMatrix(float[] Values, int RankU, int RankV)
{
    /// <summary>As it reads back.</summary>
    internal static CoreMatrix From(StoredTensor core) => core.Shape is [var rows, var columns]
        ? new CoreMatrix(core.Widen(), (int)rows, (int)columns)
        : FromDiagonal(core.Widen());

    /// <summary>The square core that a stored diagonal [r] stands for, so that serving knows one form only.</summary>
    internal static CoreMatrix FromDiagonal(float[] diagonal)
    {
        int rank = diagonal.Length;
        float[] values = new float[rank * rank];
        for (int j = 0; j < rank; j++)
            values[(j * rank) + j] = diagonal[j];
        return new CoreMatrix(values, rank, rank);
    }
}
