using System.Text.Json;

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

    public required string Method { get; init; }

    public required int[] Rank { get; init; }

    /// <summary>Largest rank of any private residual.</summary>
    public required int Residual { get; init; }

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
    /// The mean error minus a lower bound that no basis of these ranks can beat with this assignment; null when a module
    /// was too large for the bound.
    /// </summary>
    public required double? CertifiedGap { get; init; }

    /// <summary>Size of the adapters' weight files.</summary>
    public required long BytesIn { get; init; }

    /// <summary>Size of the bundle's data files.</summary>
    public required long BytesOut { get; init; }

    /// <summary>1 − (numbers in bases, cores and private residuals) / (numbers in all A and B), real shapes.</summary>
    public required double ParametersSaved { get; init; }
}

/// <summary>Errors of one adapter, by module path.</summary>
public sealed record ReportAdapter(string Id, int Cluster, double RelSqError, SortedDictionary<string, double> Modules);
