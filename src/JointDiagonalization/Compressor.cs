using System.Diagnostics;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Fitting.Diagonal;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Reports;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// Compresses a collection of adapters of one base model into a bundle: assigns adapters to clusters over all modules,
/// then fits module by module with one module of all adapters in memory. Equal input, seed and settings give equal bytes.
/// </summary>
public sealed class Compressor
{
    private readonly CompressorOptions _options;
    private readonly IProgress<CompressionProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly Device _device;

    private Compressor(CompressorOptions options, IProgress<CompressionProgress>? progress, CancellationToken cancellation)
    {
        options.Validate();
        _options = options;
        _progress = progress;
        _cancellation = cancellation;
        _device = device(options.Device);
    }

    /// <param name="options">What to write, and how small.</param>
    /// <param name="adapterFolders">PEFT adapter folders, see <see cref="PeftAdapter.FindFolders"/>; the order does not matter.</param>
    /// <param name="progress">Told about every step.</param>
    /// <param name="cancellation">Checked between fits; nothing is left behind.</param>
    /// <exception cref="AdapterFormatException">No adapter is usable, or with Strict any that is not; or the base model cannot be read.</exception>
    /// <exception cref="IOException">The output cannot be written or exists.</exception>
    public static CompressionResult Compress(
        CompressorOptions options,
        IReadOnlyList<string> adapterFolders,
        IProgress<CompressionProgress>? progress = null,
        CancellationToken cancellation = default) => new Compressor(options, progress, cancellation).Run(adapterFolders);

    private bool Diagonal => _options.Method == CompressionMethod.Diagonal;

    private CompressionResult Run(IReadOnlyList<string> folders)
    {
        long started = Stopwatch.GetTimestamp();
        // Refused before hours of work, and again when the writer is created.
        BundleWriter.RequireFree(_options.Output, _options.Overwrite);
        var baseShapes = _options.BaseModelFolder is { } folder ? BaseShapes.Read(folder) : null;
        AdapterCollection collection = AdapterCollection.Open(folders, baseShapes, _options.Strict, _progress, _cancellation);

        using ComputeThreads threads = ComputeThreads.Use(_options.Threads, collection.Modules.Max(m => Math.Max(m.DOut, m.DIn)));
        using var scope = NewDisposeScope();
        ClusterAssignment assignment = Assign(collection);
        using var writer = new BundleWriter(_options.Output, _options.Overwrite, _options.DType);
        var tally = new CompressionTally(collection.Adapters.Count);
        for (int m = 0; m < collection.Modules.Length; m++)
            FitModule(collection, m, assignment, writer, tally);
        ErrorSurvey? survey = new Surveyor(collection, assignment, _options, _progress, _cancellation).Run();

        _progress?.Report(new CompressionProgress(CompressionStage.Writing, 0, 1, _options.Output));
        string[] ids = [.. collection.Adapters.Select(a => a.Id)];
        var (bases, cores, fileOfAdapter) = writer.WriteData(assignment.Clusters, ids, _cancellation);
        BundleManifest manifest = Manifest(collection, assignment, tally, bases, cores, fileOfAdapter);
        CompressionReport report = tally.Report(manifest, collection, writer.DataBytes, Stopwatch.GetElapsedTime(started).TotalSeconds) with { Survey = survey };
        writer.Complete(manifest, report);
        _progress?.Report(new CompressionProgress(CompressionStage.Writing, 1, 1, _options.Output, report.MeanRelSqError));
        return new CompressionResult(manifest, report, collection.Skipped);
    }

    private ClusterAssignment Assign(AdapterCollection collection)
    {
        int count = collection.Adapters.Count;
        if (_options.Clusters == 1 || count == 1)
            return new ClusterAssignment(new int[count], 1, double.NaN, [], "single");

        int modules = collection.Modules.Length;
        int dimensions = ClusterProjection.Dimensions(Math.Max(_options.RankU, _options.RankV), Math.Min(_options.Clusters, count));
        List<CanonicalFactors> projected = [];
        try
        {
            foreach (BundleModule module in collection.Modules)
            {
                _cancellation.ThrowIfCancellationRequested();
                using CanonicalFactors factors = collection.Read(module.Path, _device);
                projected.Add(ClusterProjection.Shrink(factors, dimensions, _options.Seed));
                _progress?.Report(new CompressionProgress(CompressionStage.Clustering, projected.Count, modules, module.Path));
            }

            int products = projected.Sum(p => p.Count);
            var clusterer = new AdapterClusterer(new ClusterOptions
            {
                Clusters = _options.Clusters,
                RankU = _options.RankU,
                RankV = _options.RankV,
                Seed = _options.Seed,
            });
            return clusterer.Assign(
                count,
                projected,
                (start, objective) => _progress?.Report(
                    new CompressionProgress(CompressionStage.Clustering, modules, modules, $"round from the {start} start", objective / products)),
                _cancellation);
        }
        finally
        {
            projected.ForEach(p => p.Dispose());
        }
    }

    private void FitModule(AdapterCollection collection, int index, ClusterAssignment assignment, BundleWriter writer, CompressionTally tally)
    {
        BundleModule module = collection.Modules[index];
        using CanonicalFactors factors = collection.Read(module.Path, _device);
        double error = 0;
        for (int c = 0; c < assignment.Clusters; c++)
        {
            _cancellation.ThrowIfCancellationRequested();
            int[] positions = [.. Enumerable.Range(0, factors.Count).Where(p => assignment.ClusterOf[factors.Owners[p]] == c)];
            // A cluster whose products are all zero here needs no basis: like adapters without the module, it adds nothing.
            if (positions.Length == 0)
                continue;
            using CanonicalFactors members = factors.Select(positions);
            using JointFit fit = Fit(members);
            using SharedBasis stored = Rounded(fit.Basis);
            Sigma[] cores = Diagonal ? SigmaProjection.ProjectDiagonal(members, stored) : SigmaProjection.Project(members, stored);
            writer.AddBasis(c, module.Path, stored);
            tally.AddBasis(stored, fit.LowerBound);
            tally.AddBounds(module.Path, fit);
            foreach (int owner in factors.ZeroOwners.Where(o => assignment.ClusterOf[o] == c))
                Add(owner, Diagonal ? Sigma.ZeroDiagonal(stored.RankU) : Sigma.Zero(stored.RankU, stored.RankV));
            for (int p = 0; p < cores.Length; p++)
                Add(members.Owners[p], cores[p]);
            error += cores.Sum(s => s.RelSqError);
        }

        _progress?.Report(new CompressionProgress(
            CompressionStage.Fitting, index + 1, collection.Modules.Length, module.Path, factors.Count == 0 ? null : error / factors.Count));

        void Add(int owner, Sigma core)
        {
            writer.AddCore(collection.Adapters[owner].Id, module.Path, core);
            tally.AddCore(owner, module.Path, core);
        }
    }

    private JointFit Fit(CanonicalFactors members)
    {
        if (Diagonal)
        {
            var options = new DiagonalFitOptions { Rank = _options.RankU, Sweeps = _options.EffectiveIterations, Seed = _options.Seed };
            return new DiagonalJointDiagonalizer(options).Fit(members, _cancellation);
        }

        return new JointDiagonalizer(new FitOptions
        {
            RankU = _options.RankU,
            RankV = _options.RankV,
            Iterations = _options.EffectiveIterations,
            Seed = _options.Seed,
        }).Fit(members, cancellation: _cancellation);
    }

    /// <summary>The basis as it will be read back, so that cores are solved against it and errors are those served.</summary>
    private SharedBasis Rounded(SharedBasis basis)
    {
        ScalarType storage = _options.DType switch
        {
            DType.BF16 => ScalarType.BFloat16,
            DType.F16 => ScalarType.Float16,
            _ => ScalarType.Float32,
        };
        using SharedBasis narrow = basis.To(basis.U.device, storage);
        return narrow.To(basis.U.device, ScalarType.Float32);
    }

    private BundleManifest Manifest(
        AdapterCollection collection,
        ClusterAssignment assignment,
        CompressionTally tally,
        BundleBasis[] bases,
        BundleFile[] cores,
        IReadOnlyDictionary<string, string> fileOfAdapter)
    {
        string?[] names = [.. collection.Adapters.Select(a => a.BaseModel).Distinct()];
        var manifest = new BundleManifest
        {
            Format = BundleManifest.FormatName,
            Version = BundleManifest.FormatVersion,
            Generation = "",
            BaseModel = _options.BaseModel ?? (names.Length == 1 ? names[0] : null),
            Method = CompressionMethods.NameOf(_options.Method),
            Rank = [_options.RankU, _options.RankV],
            Clusters = assignment.Clusters,
            Seed = _options.Seed,
            Iterations = _options.EffectiveIterations,
            Dtype = _options.DType.ToString(),
            Modules = collection.Modules,
            Bases = bases,
            Cores = cores,
            Adapters =
            [
                .. collection.Adapters.Select((a, i) => new BundleAdapter(
                    a.Id, assignment.ClusterOf[i], collection.Digests[i], a.Rank, tally.Norm(i), tally.MeanError(i), fileOfAdapter[a.Id], tally.Modules(i))),
            ],
        };
        return manifest with { Generation = manifest.ComputeGeneration() };
    }
}
