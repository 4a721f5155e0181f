namespace Eigengate.JointDiagonalization.Fitting.Diagonal;

/// <summary>Settings of one JD-Diag fit. The rank is an upper limit: a module that needs less stores less.</summary>
public sealed record DiagonalFitOptions
{
    /// <summary>Columns of U and of V, and numbers per core.</summary>
    public required int Rank { get; init; }

    /// <summary>Upper limit of sweeps over U, V and the cores.</summary>
    public int Sweeps { get; init; } = CompressionMethods.DefaultIterations(CompressionMethod.Diagonal);

    /// <summary>Stop when a sweep lowers the error by less than this fraction of it.</summary>
    public double Tolerance { get; init; } = 1e-6;

    public ulong Seed { get; init; }
}
