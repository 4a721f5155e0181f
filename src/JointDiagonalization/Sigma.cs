namespace Eigengate.JointDiagonalization;

/// <summary>The core of one adapter in one module, in serving form: y += U Σ Vᵀ x, the norm folded in.</summary>
/// <param name="Values">[r_U, r_V], row-major; or [r], the diagonal, when <see cref="IsDiagonal"/>.</param>
/// <param name="RankU">Width of the basis U.</param>
/// <param name="RankV">Width of the basis V.</param>
/// <param name="Norm">‖M‖ of the product it stands for.</param>
/// <param name="RelSqError">‖M − UΣVᵀ‖² / ‖M‖²; 0 for a zero product.</param>
public sealed record Sigma(float[] Values, int RankU, int RankV, double Norm, double RelSqError)
{
    /// <summary>Whether only the diagonal of Σ is kept, which needs r_U = r_V.</summary>
    public bool IsDiagonal { get; init; }

    public static Sigma Zero(int rankU, int rankV) => new(new float[rankU * rankV], rankU, rankV, 0, 0);

    public static Sigma ZeroDiagonal(int rank) => new(new float[rank], rank, rank, 0, 0) { IsDiagonal = true };
}
