using System.Security.Cryptography;

namespace Eigengate.AdapterCache;

/// <summary>What the index knows of one adapter; its weights are stored beside it.</summary>
/// <param name="Id">Public name, what clients put in <c>model</c>. Compared exactly, may contain <c>/</c>.</param>
/// <param name="Version">Digest of the stored weights (<see cref="DigestOf"/>), without white space. Weights are looked up by id and
/// version, so other weights must have another version, also when only the basis generation changed.</param>
/// <param name="Generation">The basis generation its cores belong to; only nodes that hold the same generation can serve it.</param>
/// <param name="Cluster">The adapter cluster whose basis U, V it uses; null when its own A, B are served exactly.</param>
/// <param name="Status">Only <see cref="AdapterStatus.Ready"/> adapters are listed and served.</param>
/// <param name="Root">Source path or URI, as given at registration.</param>
/// <param name="Created">Registration time, kept to the millisecond; kept too when the same record is registered again.</param>
/// <param name="RelativeSquaredError">‖ΔW − UΣVᵀ‖² / ‖ΔW‖² averaged over modules; null for an exact adapter.</param>
/// <param name="Norms">Frobenius norm of ΔW by module name, when known.</param>
/// <param name="Failure">Why it cannot be served, when <see cref="AdapterStatus.Failed"/>.</param>
public sealed record AdapterRecord(
    string Id,
    string Version,
    string Generation,
    int? Cluster,
    AdapterStatus Status,
    string Root,
    DateTimeOffset Created,
    double? RelativeSquaredError = null,
    IReadOnlyDictionary<string, double>? Norms = null,
    string? Failure = null)
{
    /// <summary>Lower-case hexadecimal SHA-256 of a weights blob: the value of <see cref="Version"/>.</summary>
    public static string DigestOf(ReadOnlySpan<byte> weights) => Convert.ToHexStringLower(SHA256.HashData(weights));
}

public enum AdapterStatus
{
    /// <summary>Servable by every node that holds its cluster, or by every node that serves exact adapters.</summary>
    Ready,

    /// <summary>Registered, but its weights cannot be served.</summary>
    Failed,
}
