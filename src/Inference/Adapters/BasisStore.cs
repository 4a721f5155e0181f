using Eigengate.Inference.Models;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>Owns the clusters whose bases are on the device. Thread-safe; the engine thread only reads clusters that a lease holds.</summary>
/// <param name="config">Of the base model.</param>
/// <param name="dtype">Element type on the device.</param>
/// <param name="device">Where the bases go.</param>
/// <param name="arrange">May rearrange a new basis for the kernels that will read it; called on the thread that adds it.</param>
internal sealed class BasisStore(ModelConfig config, ScalarType dtype, Device device, Action<SiteBasis> arrange) : IDisposable
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

    /// <summary>Most floats that an adapter of any cluster so far needs in its slot.</summary>
    public int LongestCore { get; private set; }

    public bool Contains(string key)
    {
        lock (_gate)
            return _clusters.ContainsKey(key);
    }

    /// <exception cref="InvalidAdapterException">A basis does not fit the base model, or the key is taken.</exception>
    public void Add(string key, IReadOnlyDictionary<string, ClusterBasis> bases)
    {
        var cluster = new ResidentCluster(key, bases, config, dtype, device, arrange);
        lock (_gate)
        {
            if (_clusters.TryAdd(key, cluster))
            {
                LongestCore = Math.Max(LongestCore, cluster.CoreLength);
                return;
            }
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

    public void Release(ResidentCluster cluster)
    {
        lock (_gate)
            cluster.Adapters--;
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
