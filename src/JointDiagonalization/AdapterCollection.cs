using System.Diagnostics;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// The usable adapters of a run in ordinal order of their ids, and the modules they adapt. Weights are read one module
/// at a time.
/// </summary>
internal sealed class AdapterCollection
{
    private readonly List<PeftAdapter> _adapters = [];
    private readonly List<string> _digests = [];
    private readonly List<SkippedAdapter> _skipped = [];
    private readonly Dictionary<string, string> _folderOf = new(StringComparer.Ordinal);

    /// <summary>When opening began, as a <see cref="Stopwatch"/> timestamp: runs count their time from here.</summary>
    internal long Started { get; } = Stopwatch.GetTimestamp();

    internal IReadOnlyList<PeftAdapter> Adapters => _adapters;

    /// <summary>Digest of each adapter.</summary>
    internal IReadOnlyList<string> Digests => _digests;

    internal IReadOnlyList<SkippedAdapter> Skipped => _skipped;

    /// <summary>All adapted modules in ordinal order of their paths.</summary>
    internal BundleModule[] Modules { get; private set; } = [];

    internal static AdapterCollection Open(
        CompressorOptions options, IReadOnlyList<string> folders, IProgress<CompressionProgress>? progress, CancellationToken cancellation) =>
        Open(folders, options.BaseModelFolder is { } model ? BaseShapes.Read(model) : null, options.Strict, progress, cancellation);

    /// <exception cref="AdapterFormatException">No adapter is usable, or with <paramref name="strict"/> the first one that is not.</exception>
    internal static AdapterCollection Open(
        IReadOnlyList<string> folders,
        IReadOnlyDictionary<string, ModuleShape>? baseShapes,
        bool strict,
        IProgress<CompressionProgress>? progress,
        CancellationToken cancellation)
    {
        var collection = new AdapterCollection();
        string[] ordered = [.. folders.OrderBy(Path.GetFileName, StringComparer.Ordinal)];
        var opened = new (PeftAdapter? Adapter, string? Digest, AdapterFormatException? Problem)[ordered.Length];
        int done = 0;
        Parallel.For(0, ordered.Length, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellation }, i =>
        {
            opened[i] = TryOpen(ordered[i], baseShapes);
            lock (opened)
                progress?.Report(new CompressionProgress(CompressionStage.Reading, ++done, ordered.Length, Path.GetFileName(ordered[i])));
        });
        foreach (var (adapter, digest, problem) in opened)
            collection.Add(adapter, digest, problem, strict);
        collection.LeaveOutOtherShapes(strict);
        if (collection._adapters.Count == 0)
        {
            string reasons = string.Join("; ", collection._skipped.Select(s => $"'{s.Id}' {s.Reason}"));
            throw new AdapterFormatException("(all)", folders.Count == 0 ? "no adapter folder was given" : $"none can be used: {reasons}");
        }

        collection.Modules =
        [
            .. collection._adapters.SelectMany(a => a.Modules.Values)
                .DistinctBy(m => m.Path)
                .OrderBy(m => m.Path, StringComparer.Ordinal)
                .Select(m => new BundleModule(m.Path, m.OutFeatures, m.InFeatures)),
        ];
        return collection;
    }

    /// <summary>Canonical factors of one module of all adapters that have it.</summary>
    internal CanonicalFactors Read(string module, Device device, CancellationToken cancellation) =>
        Read(module, [.. Enumerable.Range(0, _adapters.Count)], device, cancellation);

    /// <summary>The same of those among the chosen adapters.</summary>
    internal CanonicalFactors Read(string module, int[] chosen, Device device, CancellationToken cancellation)
    {
        int[] owners = [.. chosen.Where(i => _adapters[i].Modules.ContainsKey(module))];
        BundleModule shape = Array.Find(Modules, m => m.Path == module)!;
        return CanonicalFactors.From(
            owners.Length,
            i => (owners[i], _adapters[owners[i]].ReadDelta(module)),
            new ModuleShape(shape.DOut, shape.DIn),
            owners.Select(i => _adapters[i].Modules[module].Rank).DefaultIfEmpty(1).Max(),
            device,
            ScalarType.Float32,
            cancellation);
    }

    private static (PeftAdapter?, string?, AdapterFormatException?) TryOpen(string folder, IReadOnlyDictionary<string, ModuleShape>? baseShapes)
    {
        try
        {
            PeftAdapter adapter = PeftAdapter.Open(folder, baseShapes);
            adapter.RequireFinite();
            return (adapter, adapter.ComputeDigest(), null);
        }
        catch (AdapterFormatException e)
        {
            return (null, null, e);
        }
    }

    private void Add(PeftAdapter? adapter, string? digest, AdapterFormatException? problem, bool strict)
    {
        if (adapter is not null && !_folderOf.TryAdd(adapter.Id, adapter.Folder))
            problem = new AdapterFormatException(adapter.Id, $"the id is taken by '{_folderOf[adapter.Id]}'; ids must be unique");
        if (problem is null)
        {
            _adapters.Add(adapter!);
            _digests.Add(digest!);
            return;
        }

        if (strict)
            throw problem;
        _skipped.Add(new SkippedAdapter(problem.Adapter, problem.Problem));
    }

    /// <summary>Without a base model the most common shape of a module counts; among equals the one seen first.</summary>
    private void LeaveOutOtherShapes(bool strict)
    {
        var shapes = _adapters.SelectMany(a => a.Modules.Values)
            .GroupBy(m => m.Path)
            .ToDictionary(g => g.Key, g => g.GroupBy(m => new ModuleShape(m.OutFeatures, m.InFeatures)).MaxBy(s => s.Count())!.Key);
        for (int i = 0; i < _adapters.Count;)
        {
            try
            {
                BaseShapes.Check(_adapters[i].Id, _adapters[i].Modules.Values, shapes, "most adapters have");
                i++;
            }
            catch (AdapterFormatException e) when (!strict)
            {
                _skipped.Add(new SkippedAdapter(e.Adapter, e.Problem));
                _adapters.RemoveAt(i);
                _digests.RemoveAt(i);
            }
        }
    }
}
