using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>manifest.json of a bundle, version 1 (docs/bundle-format.md).</summary>
public sealed record BundleManifest
{
    public const string FileName = "manifest.json";
    public const string FormatName = "eigengate-bundle";
    public const int FormatVersion = 1;

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

    public required int Clusters { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>Upper limit of fit iterations.</summary>
    public required int Iterations { get; init; }

    /// <summary>Storage type of bases and cores: F32, BF16 or F16.</summary>
    public required string Dtype { get; init; }

    public required BundleModule[] Modules { get; init; }

    public required BundleBasis[] Bases { get; init; }

    public required BundleFile[] Cores { get; init; }

    public required BundleAdapter[] Adapters { get; init; }

    /// <summary>Numbers in all bases and cores.</summary>
    internal long StoredNumbers()
    {
        var shapes = Modules.ToDictionary(m => m.Path, StringComparer.Ordinal);
        bool diagonal = Method == CompressionMethods.NameOf(CompressionMethod.Diagonal);
        long bases = Bases.Sum(b => b.Ranks.Sum(r => ((long)shapes[r.Key].DOut * r.Value[0]) + ((long)shapes[r.Key].DIn * r.Value[1])));
        return bases + Adapters.Sum(a => a.Modules.Sum(m => Bases[a.Cluster].Ranks[m] is var r && diagonal ? r[0] : (long)r[0] * r[1]));
    }

    internal byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    internal string ComputeGeneration() => Convert.ToHexStringLower(SHA256.HashData((this with { Generation = "" }).ToJson()));
}

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
/// <param name="RelSqError">Mean relative squared error of its non-zero products.</param>
/// <param name="CoresFile">The file that holds its cores.</param>
/// <param name="Modules">Modules that it adapts.</param>
public sealed record BundleAdapter(
    string Id, int Cluster, string Digest, int Rank, double Norm, double RelSqError, string CoresFile, string[] Modules);
