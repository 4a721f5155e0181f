using System.Diagnostics;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Fitting.Diagonal;
using Eigengate.JointDiagonalization.Peft;
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

        _progress?.Report(new CompressionProgress(CompressionStage.Writing, 0, 1, _options.Output));
        string[] ids = [.. collection.Adapters.Select(a => a.Id)];
        var (bases, cores, fileOfAdapter) = writer.WriteData(assignment.Clusters, ids, _cancellation);
        BundleManifest manifest = Manifest(collection, assignment, tally, bases, cores, fileOfAdapter);
        CompressionReport report = tally.Report(manifest, collection, writer.DataBytes, Stopwatch.GetElapsedTime(started).TotalSeconds);
        writer.Complete(manifest, report);
        _progress?.Report(new CompressionProgress(CompressionStage.Writing, 1, 1, _options.Output, report.MeanRelSqError));
        return new CompressionResult(manifest, report, collection.Skipped);
    }

    private ClusterAssignment Assign(AdapterCollection collection)
    {
        var clustering = new ClusterOptions { Clusters = _options.Clusters, RankU = _options.RankU, RankV = _options.RankV, Seed = _options.Seed };
        return new CollectionAssignment(collection, clustering, _device, _progress, _cancellation).Run();
    }

    private void FitModule(AdapterCollection collection, int index, ClusterAssignment assignment, BundleWriter writer, CompressionTally tally)
    {
        BundleModule module = collection.Modules[index];
        using CanonicalFactors factors = collection.Read(module.Path, _device, _cancellation);
        double error = 0;
        var fits = new ClusterFit?[assignment.Clusters];
        try
        {
            if (fits.Length == 1)
                fits[0] = FitCluster(factors, assignment, 0);
            else
                Workers.For(fits.Length, c => fits[c] = FitCluster(factors, assignment, c), _cancellation);
            for (int c = 0; c < fits.Length; c++)
                error += Keep(fits[c], c);
        }
        finally
        {
            foreach (ClusterFit? fit in fits)
                fit?.Basis.Dispose();
        }

        _progress?.Report(new CompressionProgress(
            CompressionStage.Fitting, index + 1, collection.Modules.Length, module.Path, factors.Count == 0 ? null : error / factors.Count));

        // A cluster whose products are all zero here needs no basis: like adapters without the module, it adds nothing.
        double Keep(ClusterFit? fit, int c)
        {
            if (fit is null)
                return 0;
            writer.AddBasis(c, module.Path, fit.Basis);
            tally.AddBasis(fit.Basis, fit.LowerBound);
            foreach (int owner in factors.ZeroOwners.Where(o => assignment.ClusterOf[o] == c))
                Add(owner, Diagonal ? Sigma.ZeroDiagonal(fit.Basis.RankU) : Sigma.Zero(fit.Basis.RankU, fit.Basis.RankV));
            for (int p = 0; p < fit.Cores.Length; p++)
                Add(fit.Owners[p], fit.Cores[p]);
            return fit.Cores.Sum(s => s.RelSqError);
        }

        void Add(int owner, Sigma core)
        {
            writer.AddCore(collection.Adapters[owner].Id, module.Path, core);
            tally.AddCore(owner, module.Path, core);
        }
    }

    private ClusterFit? FitCluster(CanonicalFactors factors, ClusterAssignment assignment, int cluster)
    {
        int[] positions = [.. Enumerable.Range(0, factors.Count).Where(p => assignment.ClusterOf[factors.Owners[p]] == cluster)];
        if (positions.Length == 0)
            return null;
        using var scope = NewDisposeScope();
        using CanonicalFactors? part = positions.Length == factors.Count ? null : factors.Select(positions);
        CanonicalFactors members = part ?? factors;
        using JointFit fit = Fit(members);
        SharedBasis stored = Rounded(fit.Basis);
        Sigma[] cores = Diagonal ? SigmaProjection.ProjectDiagonal(members, stored) : SigmaProjection.Project(members, stored);
        return new ClusterFit(stored, fit.LowerBound, [.. members.Owners], cores);
    }

    private JointFit Fit(CanonicalFactors members)
    {
        if (Diagonal)
        {
            var options = new DiagonalFitOptions { Rank = _options.RankU, Sweeps = _options.EffectiveIterations, Seed = _options.Seed };
            options = options with { Tolerance = _options.Tolerance ?? options.Tolerance };
            return new DiagonalJointDiagonalizer(options).Fit(members, _cancellation);
        }

        var full = new FitOptions
        {
            RankU = _options.RankU,
            RankV = _options.RankV,
            Iterations = _options.EffectiveIterations,
            Seed = _options.Seed,
            Restarts = _options.Restarts,
            Method = _options.Algorithm,
        };
        return new JointDiagonalizer(full with { Tolerance = _options.Tolerance ?? full.Tolerance }).Fit(members, cancellation: _cancellation);
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

    /// <summary>What one cluster stores for one module: the basis as rounded, and the cores of its members in the order of the owners.</summary>
    private sealed record ClusterFit(SharedBasis Basis, double LowerBound, int[] Owners, Sigma[] Cores);
}
