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

    public ulong Seed { get; init; }
}
