using System.Text.Json;
using Eigengate.JointDiagonalization.Reports;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>report.json beside the manifest. All errors are relative squared Frobenius errors of unit-norm products, means over non-zero products.</summary>
public sealed record CompressionReport
{
    public const string FileName = "report.json";

    /// <summary>The report beside a bundle; null when there is none, since a bundle does not need one.</summary>
    /// <exception cref="BundleFormatException">It is there but is no report.</exception>
    public static CompressionReport? TryRead(string bundleFolder)
    {
        string path = Path.Combine(bundleFolder, FileName);
        if (!File.Exists(path))
            return null;
        try
        {
            return JsonSerializer.Deserialize<CompressionReport>(File.ReadAllBytes(path), BundleManifest.Json)
                ?? throw new BundleFormatException(path, "holds null; an object was expected");
        }
        catch (JsonException e)
        {
            throw new BundleFormatException(path, $"is not a compression report: {e.Message}", e);
        }
    }

    /// <summary>The report beside a bundle.</summary>
    /// <exception cref="BundleFormatException">The report is missing or not one.</exception>
    public static CompressionReport Read(string bundleFolder) => TryRead(bundleFolder)
        ?? throw new BundleFormatException(Path.Combine(bundleFolder, FileName), "the file is missing; compress writes it beside the manifest");

    public required string Method { get; init; }

    public required int[] Rank { get; init; }

    /// <summary>Largest rank of any private residual; reports from before there were any do not say.</summary>
    public int Residual { get; init; }

    public required int Clusters { get; init; }

    public required int Iterations { get; init; }

    public required ulong Seed { get; init; }

    public required double Seconds { get; init; }

    public required long PeakRssBytes { get; init; }

    public required ReportAdapter[] Adapters { get; init; }

    public required double MeanRelSqError { get; init; }

    /// <summary>Weighted by ‖M‖²: what is lost in the restored scale.</summary>
    public required double NormWeightedRelSqError { get; init; }

    /// <summary>
    /// The mean error minus a lower bound that no basis of these ranks can beat with this assignment; null for a merge, and
    /// where a recompression of large clusters computed no bound.
    /// </summary>
    public required double? CertifiedGap { get; init; }

    /// <summary>Size of the adapters' weight files.</summary>
    public required long BytesIn { get; init; }

    /// <summary>Size of the bundle's data files.</summary>
    public required long BytesOut { get; init; }

    /// <summary>1 − (numbers in bases, cores and private residuals) / (numbers in all A and B), real shapes.</summary>
    public required double ParametersSaved { get; init; }

    /// <summary>As in the manifest.</summary>
    public string? BaseModel { get; init; }

    /// <summary>Storage type of the bundle, as in the manifest.</summary>
    public string? Dtype { get; init; }

    /// <summary>Adapters that could not be used.</summary>
    public SkippedAdapter[] LeftOut { get; init; } = [];

    /// <summary>In ordinal order of their paths; empty when adapters were added after the fit.</summary>
    public ReportModule[] Modules { get; init; } = [];

    /// <summary>Null when the run was asked to leave it out.</summary>
    public ErrorSurvey? Survey { get; init; }
}

/// <summary>Errors of one module over all clusters; means over its non-zero products.</summary>
/// <param name="Path">Module path in the base model.</param>
/// <param name="DOut">Rows of the weight.</param>
/// <param name="DIn">Columns of the weight.</param>
/// <param name="Products">Non-zero products.</param>
/// <param name="RelSqError">The error reached.</param>
/// <param name="TailU">Energy beyond the first r_U directions of the output side; at most that for large clusters, null when not certified.</param>
/// <param name="TailV">The same for r_V and the input side.</param>
/// <param name="LowerBound">No bases of these ranks reach less with this assignment; null when not certified.</param>
public sealed record ReportModule(string Path, int DOut, int DIn, int Products, double RelSqError, double? TailU, double? TailV, double? LowerBound);

/// <summary>Errors of one adapter, by module path.</summary>
public sealed record ReportAdapter(string Id, int Cluster, double RelSqError, SortedDictionary<string, double> Modules);
