namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>Settings of one JD-Full fit. Ranks are upper limits: a module that needs less stores less.</summary>
public sealed record FitOptions
{
    /// <summary>Width of U.</summary>
    public required int RankU { get; init; }

    /// <summary>Width of V.</summary>
    public required int RankV { get; init; }

    public int Iterations { get; init; } = 10;

    /// <summary>Stop when an iteration lowers the error by less than this fraction of it.</summary>
    public double Tolerance { get; init; } = 1e-3;

    public HalfStepMethod Method { get; init; } = HalfStepMethod.Krylov;

    /// <summary>
    /// Further starts after HOSVD, of which the best result is kept: the SVD of the mean product first, then random bases.
    /// Symmetric collections need them, on which HOSVD starts near a saddle.
    /// </summary>
    public int Restarts { get; init; }

    /// <summary>
    /// Whether a start from members of the collection is tried beside HOSVD for one iteration, and the better one continued.
    /// Collections of many groups need it, on which HOSVD alone converges slowly.
    /// </summary>
    public bool TryMembers { get; init; } = true;

    public ulong Seed { get; init; }

    /// <summary>Whether the best lower bound is wanted; without it larger problems start by iteration, which is faster.</summary>
    internal bool Certify { get; init; } = true;
}
