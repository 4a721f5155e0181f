using Eigengate.JointDiagonalization.Bundles;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Revisions;

/// <summary>What a recompression did.</summary>
/// <param name="Result">What was written.</param>
/// <param name="PublishedError">Mean relative squared error of the same adapters on the old bases: members in their clusters, newcomers where they fit best.</param>
/// <param name="Added">Adapters that the old bundle did not have, or had with other content.</param>
/// <param name="Dropped">Adapters of the old bundle that are not there any more.</param>
/// <param name="ColdError">What a run without memory of the old bundle reaches, when that was asked for.</param>
public sealed record RecompressionResult(
    CompressionResult Result, double PublishedError, IReadOnlyList<string> Added, IReadOnlyList<string> Dropped, double? ColdError);

/// <summary>
/// A new bundle for a collection that has changed since the last one (spec/joint-diagonalization.md §5 "Recompression"):
/// starts from the published clusters and bases, and with unchanged settings never ends with a larger error than the old
/// bases have on the same adapters.
/// </summary>
public static class Recompressor
{
    // Errors below this are rounding of the storage type.
    private const double Slack = 1e-9;

    /// <summary>The settings that a bundle was made with, for another output.</summary>
    /// <exception cref="ArgumentException">The bundle was not made by joint diagonalization.</exception>
    public static CompressorOptions SettingsOf(BundleManifest manifest, string output) => new()
    {
        Output = output,
        Method = CompressionMethods.Named(manifest.Method) is { } method && CompressionMethods.IsJoint(method)
            ? method
            : throw new ArgumentException($"the bundle was made with {manifest.Method}, which has no clusters and bases to start from; compress afresh"),
        RankU = manifest.Rank[0],
        RankV = manifest.Rank[1],
        Clusters = manifest.Clusters,
        Seed = manifest.Seed,
        Iterations = manifest.Iterations,
        Residual = manifest.Residual,
        DType = Enum.Parse<DType>(manifest.Dtype),
        CoreDType = Enum.Parse<DType>(manifest.CoreDtype),
        BaseModel = manifest.BaseModel,
    };

    /// <param name="bundle">The published bundle; it stays as it is.</param>
    /// <param name="options">Settings of the new one, see <see cref="SettingsOf"/>. The method is the old one's.</param>
    /// <param name="adapterFolders">All adapters of the new bundle; the order does not matter.</param>
    /// <param name="coldCheck">Whether to compress a second time from nothing, only to compare.</param>
    /// <param name="progress">Told about every step.</param>
    /// <param name="cancellation">Checked between fits; nothing is left behind.</param>
    /// <inheritdoc cref="Compressor.Compress(CompressorOptions, IReadOnlyList{string}, IProgress{CompressionProgress}?, CancellationToken)" path="/exception"/>
    public static RecompressionResult Recompress(
        Bundle bundle,
        CompressorOptions options,
        IReadOnlyList<string> adapterFolders,
        bool coldCheck = false,
        IProgress<CompressionProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        Require(bundle, options);
        AdapterCollection collection = AdapterCollection.Open(options, adapterFolders, progress, cancellation);
        WarmStart start = WarmStart.Measure(bundle, collection, options.Clusters, device(options.Device), progress, cancellation);
        CompressionResult result = Compressor.Compress(options, collection, start, progress, cancellation);
        if (result.Report.MeanRelSqError > start.PublishedError + Slack && KeepsSizes(options, bundle.Manifest))
            result = Compressor.Compress(options with { Overwrite = true }, collection, start.Fixed(), progress, cancellation);

        HashSet<string> now = [.. collection.Adapters.Select(a => a.Id)];
        return new RecompressionResult(
            result,
            start.PublishedError,
            [.. collection.Adapters.Where((a, i) => !bundle.Contains(a.Id) || bundle.Adapter(a.Id).Digest != collection.Digests[i]).Select(a => a.Id)],
            [.. bundle.Manifest.Adapters.Select(a => a.Id).Where(id => !now.Contains(id))],
            coldCheck ? ColdError(options, collection, progress, cancellation) : null);
    }

    private static void Require(Bundle bundle, CompressorOptions options)
    {
        options.Validate();
        if (CompressionMethods.NameOf(options.Method) != bundle.Manifest.Method)
            throw new ArgumentException($"the bundle was made with {bundle.Manifest.Method}; a recompression keeps the method");
        if (Path.GetFullPath(options.Output) == Path.GetFullPath(bundle.Folder))
            throw new IOException($"the output '{options.Output}' is the published bundle; bundles are never changed");
        BundleWriter.RequireFree(options.Output, options.Overwrite);
    }

    /// <summary>With less room than before, a larger error is what was asked for.</summary>
    private static bool KeepsSizes(CompressorOptions options, BundleManifest old) =>
        options.RankU >= old.Rank[0] && options.RankV >= old.Rank[1] && options.Residual >= old.Residual && options.Clusters >= old.Clusters;

    private static double ColdError(
        CompressorOptions options, AdapterCollection collection, IProgress<CompressionProgress>? progress, CancellationToken cancellation)
    {
        string scratch = $"{Path.TrimEndingDirectorySeparator(Path.GetFullPath(options.Output))}.{Guid.NewGuid():N}.cold";
        try
        {
            return Compressor.Compress(options with { Output = scratch, FigureModules = 0 }, collection, null, progress, cancellation).Report.MeanRelSqError;
        }
        finally
        {
            if (Directory.Exists(scratch))
                Directory.Delete(scratch, recursive: true);
        }
    }
}
