using Eigengate.Inference.Adapters;

namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>All that decides which launches a padded decode step makes.</summary>
/// <param name="Rows">With the padding.</param>
/// <param name="Parts">Blocks that share a row's attention.</param>
/// <param name="Cores">Where the adapters' cores are.</param>
/// <param name="A">The first segment's cluster, and so on; null where there is none.</param>
internal readonly record struct GraphKey(int Rows, int Parts, CoreSlab? Cores, ResidentCluster? A, ResidentCluster? B, ResidentCluster? C, ResidentCluster? D);

/// <summary>
/// Decode steps recorded as graphs. A step is run as it is the first time its kind occurs, so that everything it needs is
/// loaded, recorded the second time, and from then on started as one. The longest unused graph goes when there are too many.
/// </summary>
internal sealed class GraphCache(IKernelDevice device) : IDisposable
{
    private const int Capacity = 64;
    private readonly Dictionary<GraphKey, Entry> _entries = [];
    private long _clock;

    /// <summary>Why nothing is recorded any more; null while all is well.</summary>
    public string? Failure { get; private set; }

    /// <summary>Steps that were started as a graph.</summary>
    public long Replays { get; private set; }

    public void Run(GraphKey key, Action launches)
    {
        if (Failure is not null)
        {
            launches();
            return;
        }

        if (!_entries.TryGetValue(key, out Entry? entry))
        {
            MakeRoom();
            _entries.Add(key, new Entry { Used = ++_clock });
            launches();
            return;
        }

        entry.Used = ++_clock;
        entry.Graph ??= Record(launches);
        if (entry.Graph is null)
        {
            launches();
            return;
        }

        entry.Graph.Launch();
        Replays++;
    }

    /// <summary>Forgets all graphs: memory that they use has moved.</summary>
    public void Clear()
    {
        foreach (Entry entry in _entries.Values)
            entry.Graph?.Dispose();
        _entries.Clear();
    }

    public void Dispose() => Clear();

    /// <summary>Nothing has run when a recording fails, so the step can still be run as it is.</summary>
    private IKernelGraph? Record(Action launches)
    {
        try
        {
            return device.Record(launches);
        }
        catch (CudaException e)
        {
            Failure = e.Message;
            return null;
        }
    }

    private void MakeRoom()
    {
        if (_entries.Count < Capacity)
            return;
        GraphKey oldest = _entries.MinBy(entry => entry.Value.Used).Key;
        _entries[oldest].Graph?.Dispose();
        _entries.Remove(oldest);
    }

    private sealed class Entry
    {
        public IKernelGraph? Graph { get; set; }

        public long Used { get; set; }
    }
}
