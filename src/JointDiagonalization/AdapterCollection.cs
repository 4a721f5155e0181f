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
        int done = 0;
        foreach (string folder in folders.OrderBy(Path.GetFileName, StringComparer.Ordinal))
        {
            cancellation.ThrowIfCancellationRequested();
            collection.TryAdd(folder, baseShapes, strict);
            progress?.Report(new CompressionProgress(CompressionStage.Reading, ++done, folders.Count, Path.GetFileName(folder)));
        }

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
    internal CanonicalFactors Read(string module, Device device)
    {
        (int Owner, PeftAdapter Adapter)[] owners = [.. _adapters.Index().Where(a => a.Item.Modules.ContainsKey(module))];
        return CanonicalFactors.From(
            owners.Select(o => (o.Owner, o.Adapter.ReadDelta(module))),
            owners.Max(o => o.Adapter.Modules[module].Rank),
            device,
            ScalarType.Float32);
    }

    private void TryAdd(string folder, IReadOnlyDictionary<string, ModuleShape>? baseShapes, bool strict)
    {
        try
        {
            PeftAdapter adapter = PeftAdapter.Open(folder, baseShapes);
            if (_adapters.Exists(a => a.Id == adapter.Id))
                throw new AdapterFormatException(adapter.Id, $"the id is taken by '{_adapters.First(a => a.Id == adapter.Id).Folder}'; ids must be unique");
            adapter.RequireFinite();
            _digests.Add(adapter.ComputeDigest());
            _adapters.Add(adapter);
        }
        catch (AdapterFormatException e) when (!strict)
        {
            _skipped.Add(new SkippedAdapter(e.Adapter, e.Problem));
        }
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
