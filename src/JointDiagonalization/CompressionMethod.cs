namespace Eigengate.JointDiagonalization;

/// <summary>How products are approximated.</summary>
public enum CompressionMethod
{
    /// <summary>JD-Full: orthonormal shared bases, a core of r_U·r_V numbers (spec/joint-diagonalization.md §3).</summary>
    Full,

    /// <summary>JD-Diag: shared bases of unit columns, a core of r numbers, the diagonal of Σ (§4).</summary>
    Diagonal,

    /// <summary>Each product alone, cut to its r largest singular values: nothing is shared (spec/adapters.md §4.4).</summary>
    Svd,

    /// <summary>
    /// A baseline: one TIES merge of all adapters, cut to rank r, which every adapter's name then serves (spec/adapters.md §4.2).
    /// </summary>
    Ties,
}

internal static class CompressionMethods
{
    private const int FullIterations = 10;

    // Alternating least squares converges slowly; a sweep in projected coordinates is cheap (§4).
    private const int DiagonalSweeps = 200;

    /// <summary>The name in manifest and report.</summary>
    internal static string NameOf(CompressionMethod method) => method switch
    {
        CompressionMethod.Full => "jd-full",
        CompressionMethod.Diagonal => "jd-diagonal",
        CompressionMethod.Svd => "svd",
        _ => "ties",
    };

    /// <summary>The method of that name, or null.</summary>
    internal static CompressionMethod? Named(string name) =>
        Enum.GetValues<CompressionMethod>().Where(m => NameOf(m) == name).Cast<CompressionMethod?>().FirstOrDefault();

    /// <summary>Whether bases are fitted to clusters of adapters.</summary>
    internal static bool IsJoint(CompressionMethod method) => method is CompressionMethod.Full or CompressionMethod.Diagonal;

    /// <summary>0 for methods that do not iterate.</summary>
    internal static int DefaultIterations(CompressionMethod method) => method switch
    {
        CompressionMethod.Full => FullIterations,
        CompressionMethod.Diagonal => DiagonalSweeps,
        _ => 0,
    };
}
