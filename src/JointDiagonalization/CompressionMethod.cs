namespace Eigengate.JointDiagonalization;

/// <summary>How products are approximated.</summary>
public enum CompressionMethod
{
    /// <summary>JD-Full: orthonormal shared bases, a core of r_U·r_V numbers (spec/joint-diagonalization.md §3).</summary>
    Full,

    /// <summary>JD-Diag: shared bases of unit columns, a core of r numbers, the diagonal of Σ (§4).</summary>
    Diagonal,
}

internal static class CompressionMethods
{
    private const int FullIterations = 10;

    // Alternating least squares converges slowly; a sweep in projected coordinates is cheap (§4).
    private const int DiagonalSweeps = 200;

    /// <summary>The name in manifest and report.</summary>
    internal static string NameOf(CompressionMethod method) => method == CompressionMethod.Diagonal ? "jd-diagonal" : "jd-full";

    internal static bool IsKnown(string name) => Enum.GetValues<CompressionMethod>().Any(m => NameOf(m) == name);

    /// <exception cref="ArgumentException">No method has this name.</exception>
    internal static CompressionMethod Parse(string name) =>
        IsKnown(name) ? Enum.GetValues<CompressionMethod>().First(m => NameOf(m) == name) : throw new ArgumentException($"the method '{name}' is not known");

    internal static int DefaultIterations(CompressionMethod method) => method == CompressionMethod.Diagonal ? DiagonalSweeps : FullIterations;
}
