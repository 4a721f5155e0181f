using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>manifest.json of a bundle (docs/bundle-format.md).</summary>
public sealed record BundleManifest
{
    public const string FileName = "manifest.json";
    public const string FormatName = "eigengate-bundle";

    /// <summary>What is written. Version 1, which had neither private residuals nor a core type of its own, is read too.</summary>
    public const int FormatVersion = 2;

    internal const int OldestVersion = 1;

    internal static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        NewLine = "\n",
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    };

    public required string Format { get; init; }

    public required int Version { get; init; }

    /// <summary>SHA-256, in hex, of this manifest with an empty generation; it covers every data file through its digest.</summary>
    public required string Generation { get; init; }

    public required string? BaseModel { get; init; }

    public required string Method { get; init; }

    /// <summary>[r_U, r_V] as asked for; a module that needs less stores less.</summary>
    public required int[] Rank { get; init; }

    /// <summary>Largest rank of any private residual: 0 without, and the rank of the products themselves with the method "svd".</summary>
    public int Residual { get; init; }

    public required int Clusters { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>Upper limit of fit iterations; 0 for methods that do not iterate.</summary>
    public required int Iterations { get; init; }

    /// <summary>Storage type of bases and private residuals: F32, BF16 or F16.</summary>
    public required string Dtype { get; init; }

    /// <summary>Storage type of cores: F32, BF16, F16 or I8 with row scales. As <see cref="Dtype"/> in version 1.</summary>
    public string CoreDtype
    {
        get => field ?? Dtype;
        init;
    }

    /// <summary>Settings of the method "ties"; null for others.</summary>
    public BundleMerge? Merge { get; init; }

    public required BundleModule[] Modules { get; init; }

    public required BundleBasis[] Bases { get; init; }

    public required BundleFile[] Cores { get; init; }

    public required BundleAdapter[] Adapters { get; init; }

    internal byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    internal string ComputeGeneration() => Convert.ToHexStringLower(SHA256.HashData((this with { Generation = "" }).ToJson()));

    /// <summary>The same from a manifest's own bytes, whatever version wrote them.</summary>
    internal static string GenerationOf(byte[] json, string stated)
    {
        string text = Encoding.UTF8.GetString(json), quoted = $"\"{stated}\"";
        int at = text.IndexOf(quoted, StringComparison.Ordinal);
        byte[] empty = at < 0 ? json : Encoding.UTF8.GetBytes(text.Remove(at + 1, stated.Length));
        return Convert.ToHexStringLower(SHA256.HashData(empty));
    }
}

/// <summary>Settings of a TIES merge.</summary>
/// <param name="Keep">Share of each product's entries that was kept.</param>
/// <param name="Scale">What the merge was multiplied by.</param>
public sealed record BundleMerge(double Keep, double Scale);

/// <summary>One adapted module of the base model.</summary>
public sealed record BundleModule(string Path, int DOut, int DIn);

/// <summary>A data file and its SHA-256 in hex.</summary>
public sealed record BundleFile(string File, string Sha256);

/// <summary>The basis file of a cluster, and the real [r_U, r_V] of each module in it.</summary>
public sealed record BundleBasis(int Cluster, string File, string Sha256, Dictionary<string, int[]> Ranks);

/// <summary>One compressed adapter.</summary>
/// <param name="Id">Name of its folder.</param>
/// <param name="Cluster">The cluster that serves it, in all modules.</param>
/// <param name="Digest">SHA-256 of the source files, see PeftAdapter.ComputeDigest.</param>
/// <param name="Rank">Largest LoRA rank of the source.</param>
/// <param name="Norm">Frobenius norm over all its products, scale included.</param>
/// <param name="RelSqError">Mean relative squared error of its non-zero products; may exceed 1 for a merge.</param>
/// <param name="CoresFile">The file that holds its cores.</param>
/// <param name="Modules">Modules of which it has a core or a private residual.</param>
public sealed record BundleAdapter(
    string Id, int Cluster, string Digest, int Rank, double Norm, double RelSqError, string CoresFile, string[] Modules);
