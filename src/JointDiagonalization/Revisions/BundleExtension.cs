using System.Diagnostics;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Runs;
using Eigengate.JointDiagonalization.Storage;

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
        BundleWriter.RequireFree(output, overwrite);
        long started = Stopwatch.GetTimestamp();
        BundleManifest old = bundle.Manifest;
        using var run = new RunFolder(output, $"{old.Generation} and {string.Join(", ", added.Select(a => a.Digest))}");
        List<FinishedModule> finished = [];
        try
        {
            for (int m = 0; m < old.Modules.Length; m++)
                finished.Add(run.Save(m, Module(old.Modules[m].Path, added)));
            var writer = new BundleWriter(run.StartBundle(), [.. old.Modules.Select(m => m.Path)], finished);
            writer.TakeOver(bundle, cancellation);
            var (files, fileOfAdapter) = writer.WriteCores([.. added.Select(a => a.Id)], cancellation);
            BundleManifest manifest = Manifest(old, added, files, fileOfAdapter);
            writer.WriteDescription(manifest, Report(bundle, added, writer.DataBytes, Stopwatch.GetElapsedTime(started).TotalSeconds));
            BundleWriter.RequireFree(output, overwrite);
            run.Complete();
            return manifest;
        }
        finally
        {
            finished.ForEach(module => module.Dispose());
        }
    }

    private static FittedModule Module(string path, IReadOnlyList<AddedAdapter> added)
    {
        var module = new FittedModule();
        module.Products.AddRange(added.Index().Where(a => a.Item.Products.ContainsKey(path)).Select(a => a.Item.Products[path] with { Adapter = a.Index }));
        return module;
    }

    private static BundleManifest Manifest(BundleManifest old, IReadOnlyList<AddedAdapter> added, BundleFile[] files, string[] fileOfAdapter)
    {
        IEnumerable<BundleAdapter> entries = added.Select(
            (a, i) => new BundleAdapter(a.Id, a.Cluster, a.Digest, a.Rank, Math.Sqrt(a.Energy), a.RelSqError, fileOfAdapter[i], a.Modules));
        BundleManifest manifest = old with
        {
            Version = BundleManifest.FormatVersion,
            Generation = "",
            Cores = [.. old.Cores, .. files],
            Adapters = [.. old.Adapters.Concat(entries).OrderBy(a => a.Id, StringComparer.Ordinal)],
        };
        return manifest with { Generation = manifest.ComputeGeneration() };
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
            ParametersSaved = Saved(old, bundle, added),
            LeftOut = [],
            Modules = [],
            Survey = null,
        };
    }

    private static double Saved(CompressionReport old, Bundle bundle, IReadOnlyList<AddedAdapter> added)
    {
        double stored = bundle.CountNumbers();
        // The share that was saved says how many numbers the adapters had, unless nothing was stored.
        double source = (old.ParametersSaved < 1 ? stored / (1 - old.ParametersSaved) : 0) + added.Sum(a => a.SourceNumbers);
        return source == 0 ? 0 : 1 - ((stored + added.Sum(a => a.StoredNumbers)) / source);
    }
}
