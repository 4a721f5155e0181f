using Eigengate.Inference.Models;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>Owns the clusters whose bases are on the device. Thread-safe; the engine thread only reads clusters that a lease holds.</summary>
internal sealed class BasisStore(ModelConfig config, ScalarType dtype, Device device) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, ResidentCluster> _clusters = new(StringComparer.Ordinal);

    public int Count
    {
        get
        {
            lock (_gate)
                return _clusters.Count;
        }
    }

    public bool Contains(string key)
    {
        lock (_gate)
            return _clusters.ContainsKey(key);
    }

    /// <exception cref="InvalidAdapterException">A basis does not fit the base model, or the key is taken.</exception>
    public void Add(string key, IReadOnlyDictionary<string, ClusterBasis> bases)
    {
        var cluster = new ResidentCluster(key, bases, config, dtype, device);
        lock (_gate)
        {
            if (_clusters.TryAdd(key, cluster))
                return;
        }

        cluster.Dispose();
        throw new InvalidAdapterException($"cluster '{key}' is already loaded");
    }

    /// <summary>Finds a cluster and keeps it until <see cref="Release"/>.</summary>
    /// <exception cref="InvalidAdapterException">It is not loaded.</exception>
    public ResidentCluster Use(string key)
    {
        lock (_gate)
        {
            if (!_clusters.TryGetValue(key, out ResidentCluster? cluster))
                throw new InvalidAdapterException($"cluster '{key}' is not loaded");
            cluster.Adapters++;
            return cluster;
        }
    }

    /// <summary>Like <see cref="Use"/>, but makes a missing cluster, which goes again with its last adapter.</summary>
    /// <exception cref="InvalidAdapterException">A basis does not fit the base model.</exception>
    public ResidentCluster UseOrAdd(string key, Func<IReadOnlyDictionary<string, ClusterBasis>> bases)
    {
        // Built outside of the lock; if another thread is faster, its cluster is taken.
        ResidentCluster? built = Contains(key) ? null : new ResidentCluster(key, bases(), config, dtype, device) { RemoveWithLastAdapter = true };
        lock (_gate)
        {
            if (_clusters.TryGetValue(key, out ResidentCluster? present))
                built?.Dispose();
            else
                _clusters.Add(key, present = built ?? throw new InvalidAdapterException($"cluster '{key}' was unloaded meanwhile"));
            present.Adapters++;
            return present;
        }
    }

    /// <summary>
    /// The private parts of one adapter on the device, as a cluster of its own whose cores follow those of the adapter's
    /// cluster in its slot. Belongs to the caller; null when the adapter has none.
    /// </summary>
    /// <exception cref="InvalidAdapterException">A part does not fit the base model.</exception>
    public ResidentCluster? UploadResiduals(AdapterWeights adapter, ResidentCluster cluster) => adapter.Residuals.Count == 0
        ? null
        : new ResidentCluster($"residual:{adapter.Id}@{adapter.Version}", adapter.Residuals, config, dtype, device, cluster.CoreLength);

    public void Release(ResidentCluster cluster)
    {
        lock (_gate)
        {
            if (--cluster.Adapters > 0 || !cluster.RemoveWithLastAdapter)
                return;
            _clusters.Remove(cluster.Key);
        }

        cluster.Dispose();
    }

    /// <summary>Drops a cluster; false when adapters that use it are loaded, or there is none.</summary>
    public bool TryRemove(string key)
    {
        ResidentCluster? cluster;
        lock (_gate)
        {
            if (!_clusters.TryGetValue(key, out cluster) || cluster.Adapters > 0)
                return false;
            _clusters.Remove(key);
        }

        cluster.Dispose();
        return true;
    }

    public void Dispose()
    {
        foreach (ResidentCluster cluster in _clusters.Values)
            cluster.Dispose();
        _clusters.Clear();
    }
}
