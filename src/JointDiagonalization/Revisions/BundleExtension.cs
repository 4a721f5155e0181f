using System.Diagnostics;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Revisions;

/// <summary>
/// A new bundle from a published one: its data files byte for byte, and further adapters on the same bases. The
/// published bundle stays as it is; the new one has a generation of its own.
/// </summary>
public static class BundleExtension
{
    /// <param name="bundle">What to extend.</param>
    /// <param name="added">At least one adapter whose id the bundle does not have.</param>
    /// <param name="output">Folder to write.</param>
    /// <param name="overwrite">Whether another bundle there may be replaced.</param>
    /// <param name="cancellation">Checked between files; nothing is left behind.</param>
    /// <exception cref="ArgumentException">Nothing to add, or an id is taken.</exception>
    /// <exception cref="IOException">The output exists, is the bundle itself, or cannot be written.</exception>
    public static BundleManifest Write(
        Bundle bundle, IReadOnlyList<AddedAdapter> added, string output, bool overwrite = false, CancellationToken cancellation = default)
    {
        Require(bundle, added, output);
        long started = Stopwatch.GetTimestamp();
        BundleManifest old = bundle.Manifest;
        using var writer = new BundleWriter(output, overwrite, Enum.Parse<DType>(old.Dtype));
        writer.TakeOver(bundle, cancellation);
        foreach (AddedAdapter adapter in added)
        {
            foreach (var (module, core) in adapter.Cores)
                writer.AddCore(adapter.Id, module, core);
        }

        var (files, fileOfAdapter) = writer.WriteCores([.. added.Select(a => a.Id).Order(StringComparer.Ordinal)], cancellation);
        BundleAdapter[] entries =
        [
            .. added.Select(a => new BundleAdapter(
                a.Id, a.Cluster, a.Digest, a.Rank, Math.Sqrt(a.Energy), a.RelSqError, fileOfAdapter[a.Id],
                [.. a.Cores.Keys.Order(StringComparer.Ordinal)])),
        ];
        BundleManifest manifest = old with
        {
            Generation = "",
            Cores = [.. old.Cores, .. files],
            Adapters = [.. old.Adapters.Concat(entries).OrderBy(a => a.Id, StringComparer.Ordinal)],
        };
        manifest = manifest with { Generation = manifest.ComputeGeneration() };
        writer.Complete(manifest, Report(bundle, added, writer.DataBytes, Stopwatch.GetElapsedTime(started).TotalSeconds));
        return manifest;
    }

    private static void Require(Bundle bundle, IReadOnlyList<AddedAdapter> added, string output)
    {
        if (added.Count == 0)
            throw new ArgumentException("there is no adapter to add", nameof(added));
        if (added.FirstOrDefault(a => bundle.Contains(a.Id)) is { } taken)
            throw new ArgumentException($"the bundle already has an adapter '{taken.Id}'", nameof(added));
        if (added.GroupBy(a => a.Id).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ArgumentException($"adapter '{twice.Key}' is to be added twice", nameof(added));
        if (Path.GetFullPath(output) == Path.GetFullPath(bundle.Folder))
            throw new IOException($"the output '{output}' is the bundle itself; bundles are never changed");
    }

    /// <summary>The old report with the new adapters in it; without an old one there is none. The certificate of the old fit covers its members only.</summary>
    private static CompressionReport? Report(Bundle bundle, IReadOnlyList<AddedAdapter> added, long bytesOut, double seconds)
    {
        if (CompressionReport.TryRead(bundle.Folder) is not { } old)
            return null;
        double energy = bundle.Manifest.Adapters.Sum(a => a.Norm * a.Norm);
        ReportAdapter[] adapters =
        [
            .. old.Adapters.Concat(added.Select(a => new ReportAdapter(a.Id, a.Cluster, a.RelSqError, a.Errors))).OrderBy(a => a.Id, StringComparer.Ordinal),
        ];
        double[] errors = [.. adapters.SelectMany(a => a.Modules.Values)];
        double allEnergy = energy + added.Sum(a => a.Energy);
        using var process = Process.GetCurrentProcess();
        return old with
        {
            Seconds = seconds,
            PeakRssBytes = process.PeakWorkingSet64,
            Adapters = adapters,
            MeanRelSqError = errors.DefaultIfEmpty().Average(),
            NormWeightedRelSqError = allEnergy == 0 ? 0 : ((old.NormWeightedRelSqError * energy) + added.Sum(a => a.LostEnergy)) / allEnergy,
            CertifiedGap = null,
            BytesIn = old.BytesIn + added.Sum(a => a.SourceBytes),
            BytesOut = bytesOut,
            ParametersSaved = Saved(old, bundle.Manifest, added),
        };
    }

    private static double Saved(CompressionReport old, BundleManifest manifest, IReadOnlyList<AddedAdapter> added)
    {
        long stored = manifest.StoredNumbers();
        // The share that was saved says how many numbers the adapters had, unless nothing was stored.
        double source = old.ParametersSaved < 1 ? stored / (1 - old.ParametersSaved) : 0;
        double sourceNow = source + added.Sum(a => a.SourceNumbers);
        return sourceNow == 0 ? 0 : 1 - ((stored + added.Sum(a => a.Cores.Values.Sum(c => (double)c.Values.Length))) / sourceNow);
    }
}
