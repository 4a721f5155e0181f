using Eigengate.Inference.Adapters;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>A snapshot of the host cache. Counts are since start.</summary>
/// <param name="Adapters">Versions held.</param>
/// <param name="Bytes">Memory of their numbers.</param>
/// <param name="Hits">Requests whose adapter was held.</param>
/// <param name="Misses">Requests whose adapter had to be fetched, or was being fetched.</param>
internal readonly record struct HostCacheStats(int Adapters, long Bytes, long Hits, long Misses);

/// <summary>
/// Decoded adapter weights in host memory, between the index and the device; the least recently used leave. Requests that need one
/// version at the same time share one fetch. Thread-safe.
/// </summary>
/// <param name="capacity">Bytes of weights to keep; 0 keeps none.</param>
internal sealed class HostAdapterCache(long capacity)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<PinnedAdapter, LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _order = new();
    private readonly Dictionary<PinnedAdapter, Task<AdapterWeights>> _fetches = [];
    private long _bytes;
    private long _hits;
    private long _misses;

    public HostCacheStats Stats
    {
        get
        {
            lock (_gate)
                return new HostCacheStats(_entries.Count, _bytes, _hits, _misses);
        }
    }

    /// <summary>The weights from memory, or from <paramref name="fetch"/>, whose failure all who wait for it see and which is not kept.</summary>
    public Task<AdapterWeights> GetAsync(PinnedAdapter adapter, Func<Task<AdapterWeights>> fetch)
    {
        lock (_gate)
        {
            if (_entries.TryGetValue(adapter, out LinkedListNode<Entry>? node))
            {
                _hits++;
                _order.Remove(node);
                _order.AddLast(node);
                return Task.FromResult(node.Value.Weights);
            }

            _misses++;
            if (!_fetches.TryGetValue(adapter, out Task<AdapterWeights>? running))
                _fetches.Add(adapter, running = Task.Run(() => FetchAsync(adapter, fetch)));
            return running;
        }
    }

    private async Task<AdapterWeights> FetchAsync(PinnedAdapter adapter, Func<Task<AdapterWeights>> fetch)
    {
        AdapterWeights? weights = null;
        try
        {
            return weights = await fetch();
        }
        finally
        {
            lock (_gate)
            {
                _fetches.Remove(adapter);
                if (weights is not null)
                    Keep(adapter, weights);
            }
        }
    }

    private void Keep(PinnedAdapter adapter, AdapterWeights weights)
    {
        long bytes = weights.HostBytes;
        if (bytes > capacity)
            return;
        _entries.Add(adapter, _order.AddLast(new Entry(adapter, weights, bytes)));
        _bytes += bytes;
        while (_bytes > capacity)
        {
            Entry oldest = _order.First!.Value;
            _order.RemoveFirst();
            _entries.Remove(oldest.Adapter);
            _bytes -= oldest.Bytes;
        }
    }

    private sealed record Entry(PinnedAdapter Adapter, AdapterWeights Weights, long Bytes);
}
