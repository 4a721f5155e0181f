using System.Diagnostics;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Methods;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Reports;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.JointDiagonalization.Runs;
using Eigengate.JointDiagonalization.Storage;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// Compresses a collection of adapters of one base model into a bundle: assigns adapters to clusters over all modules,
/// then fits module by module with one module of all adapters in memory. Equal input, seed and settings give equal bytes.
/// A run that was killed is continued by the next one of equal input and settings.
/// </summary>
public sealed class Compressor
{
    private readonly CompressorOptions _options;
    private readonly IProgress<CompressionProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly Device _device;
    private readonly IModuleMethod _method;
    private readonly WarmStart? _warm;

    private Compressor(CompressorOptions options, WarmStart? warm, IProgress<CompressionProgress>? progress, CancellationToken cancellation)
    {
        options.Validate();
        _options = options;
        _warm = warm;
        _progress = progress;
        _cancellation = cancellation;
        _device = device(options.Device);
        _method = ModuleMethod.Of(options, warm);
    }

    /// <param name="options">What to write, and how small.</param>
    /// <param name="adapterFolders">PEFT adapter folders, see <see cref="PeftAdapter.FindFolders"/>; the order does not matter.</param>
    /// <param name="progress">Told about every step.</param>
    /// <param name="cancellation">Checked between fits; nothing is left behind.</param>
    /// <exception cref="AdapterFormatException">No adapter is usable, or with Strict any that is not; or the base model cannot be read.</exception>
    /// <exception cref="IOException">The output exists, another run is writing it, or the disk is full; nothing is left behind.</exception>
    public static CompressionResult Compress(
        CompressorOptions options,
        IReadOnlyList<string> adapterFolders,
        IProgress<CompressionProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options.Validate();
        // Refused before hours of work, and again when the bundle is moved to its place.
        BundleWriter.RequireFree(options.Output, options.Overwrite);
        return Compress(options, AdapterCollection.Open(options, adapterFolders, progress, cancellation), null, progress, cancellation);
    }

    /// <summary>The same with adapters that are open already, and from where a published bundle left off when one is given.</summary>
    internal static CompressionResult Compress(
        CompressorOptions options,
        AdapterCollection collection,
        WarmStart? warm,
        IProgress<CompressionProgress>? progress,
        CancellationToken cancellation) => new Compressor(options, warm, progress, cancellation).Run(collection);

    private CompressionResult Run(AdapterCollection collection)
    {
        using ComputeThreads threads = ComputeThreads.Use(_options.Threads, collection.Modules.Max(m => Math.Max(m.DOut, m.DIn)));
        using var scope = NewDisposeScope();
        using var run = new RunFolder(_options.Output, RunIdentity.Of(_options, collection, _warm));
        var notes = new RunNotes(_options, _progress);
        notes.Found(run, collection.Modules.Length);
        int[] clusterOf = ReadAssignment(run, collection) ?? Assign(collection).ClusterOf;
        run.SaveAssignment(clusterOf);
        List<FinishedModule> finished = [];
        try
        {
            var tally = new CompressionTally(collection.Adapters.Count);
            for (int m = 0; m < collection.Modules.Length; m++)
                finished.Add(Finish(collection, m, clusterOf, run, tally));
            BundleManifest manifest = Write(run, collection, finished, clusterOf, tally, out CompressionReport report);
            notes.Wrote(manifest, collection);
            return new CompressionResult(manifest, report, collection.Skipped) { Notes = notes.All };
        }
        finally
        {
            finished.ForEach(module => module.Dispose());
        }
    }

    /// <summary>The assignment that an unfinished run came to, if it is for these adapters.</summary>
    private static int[]? ReadAssignment(RunFolder run, AdapterCollection collection) =>
        run.ReadAssignment() is { } clusterOf && clusterOf.Length == collection.Adapters.Count ? clusterOf : null;

    private ClusterAssignment Assign(AdapterCollection collection)
    {
        if (_warm is { MayMove: false })
            return new ClusterAssignment(_warm.ClusterOf, _warm.Clusters, double.NaN, [], "given");
        var clustering = new ClusterOptions
        {
            Clusters = _options.Clusters,
            RankU = _options.RankU,
            RankV = _options.RankV,
            Seed = _options.Seed,
            Start = _warm?.ClusterOf,
            MaxRounds = _warm is null ? ClusterOptions.DefaultMaxRounds : WarmStart.Rounds,
        };
        return new CollectionAssignment(collection, clustering, _device, _progress, _cancellation).Run();
    }

    /// <summary>Fits one module, unless an unfinished run did, and counts it.</summary>
    private FinishedModule Finish(AdapterCollection collection, int index, int[] clusterOf, RunFolder run, CompressionTally tally)
    {
        _cancellation.ThrowIfCancellationRequested();
        BundleModule module = collection.Modules[index];
        FinishedModule? finished = run.TryOpen(index);
        if (finished is null)
        {
            using CanonicalFactors factors = collection.Read(module.Path, _device, _cancellation);
            finished = run.Save(index, _method.Fit(module.Path, factors, clusterOf, _cancellation));
        }

        double? error = tally.Add(module, finished);
        _progress?.Report(new CompressionProgress(CompressionStage.Fitting, index + 1, collection.Modules.Length, module.Path, error));
        return finished;
    }

    /// <summary>Lays the bundle out, describes it and moves it to its place.</summary>
    private BundleManifest Write(
        RunFolder run,
        AdapterCollection collection,
        IReadOnlyList<FinishedModule> finished,
        int[] clusterOf,
        CompressionTally tally,
        out CompressionReport report)
    {
        ErrorSurvey? survey = new Surveyor(collection, clusterOf, _options, _progress, _cancellation).Run();
        _progress?.Report(new CompressionProgress(CompressionStage.Writing, 0, 1, _options.Output));
        var writer = new BundleWriter(run.StartBundle(), [.. collection.Modules.Select(m => m.Path)], finished);
        BundleBasis[] bases = writer.WriteBases(clusterOf.Max() + 1, _cancellation);
        var (cores, fileOfAdapter) = writer.WriteCores([.. collection.Adapters.Select(a => a.Id)], _cancellation);
        BundleManifest manifest = Manifest(collection, clusterOf, tally, bases, cores, fileOfAdapter);
        report = tally.Report(manifest, collection, writer.DataBytes, Stopwatch.GetElapsedTime(collection.Started).TotalSeconds) with { Survey = survey };
        writer.WriteDescription(manifest, report);
        BundleWriter.RequireFree(_options.Output, _options.Overwrite);
        run.Complete();
        _progress?.Report(new CompressionProgress(CompressionStage.Writing, 1, 1, _options.Output, report.MeanRelSqError));
        return manifest;
    }

    private BundleManifest Manifest(
        AdapterCollection collection, int[] clusterOf, CompressionTally tally, BundleBasis[] bases, BundleFile[] cores, string[] fileOfAdapter)
    {
        StorageForm form = StorageForm.Of(_options);
        string?[] names = [.. collection.Adapters.Select(a => a.BaseModel).Distinct()];
        var manifest = new BundleManifest
        {
            Format = BundleManifest.FormatName,
            Version = BundleManifest.FormatVersion,
            Generation = "",
            BaseModel = _options.BaseModel ?? (names.Length == 1 ? names[0] : null),
            Method = CompressionMethods.NameOf(_options.Method),
            Rank = [_options.RankU, _options.RankV],
            Residual = form.Residual,
            Clusters = bases.Length,
            Seed = _options.Seed,
            Iterations = _options.EffectiveIterations,
            Dtype = form.DType.ToString(),
            CoreDtype = form.CoreDType.ToString(),
            Merge = _options.Method == CompressionMethod.Ties ? new BundleMerge(_options.Keep, _options.MergeScale) : null,
            Modules = collection.Modules,
            Bases = bases,
            Cores = cores,
            Adapters =
            [
                .. collection.Adapters.Select((a, i) => new BundleAdapter(
                    a.Id, clusterOf[i], collection.Digests[i], a.Rank, tally.Norm(i), tally.MeanError(i), fileOfAdapter[i], tally.Modules(i))),
            ],
        };
        return manifest with { Generation = manifest.ComputeGeneration() };
    }

}
