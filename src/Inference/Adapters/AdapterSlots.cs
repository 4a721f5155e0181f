using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>One adapter on the device. Mutable parts are guarded by <see cref="AdapterSlots"/>.</summary>
internal sealed class AdapterSlot(int index, string id, string version, ResidentCluster cluster, ResidentCluster? residual)
{
    /// <summary>Row in the slab.</summary>
    public int Index { get; } = index;

    public string Id { get; } = id;

    public string Version { get; } = version;

    public ResidentCluster Cluster { get; } = cluster;

    /// <summary>Bases that belong to this adapter alone and are added to what its cluster gives; goes with the slot.</summary>
    public ResidentCluster? Residual { get; } = residual;

    public int Leases { get; set; }

    /// <summary>Unloaded by name while leased: its slot is freed with the last lease.</summary>
    public bool Doomed { get; set; }

    /// <summary>Place in the eviction order, when nobody leases it.</summary>
    public LinkedListNode<AdapterSlot>? Idle { get; set; }
}

/// <summary>
/// A fixed number of places for adapter cores on the device. Loading, leasing and releasing are thread-safe and never
/// touch a slot that a running sequence uses; the least recently used adapter without a lease makes room.
/// </summary>
internal sealed class AdapterSlots : IDisposable
{
    private readonly Lock _gate = new();
    private readonly BasisStore _store;
    private readonly ScalarType _coreType;
    private readonly Device _device;
    private readonly Stack<int> _free;
    private readonly Dictionary<(string Id, string Version), AdapterSlot> _loaded = [];
    private readonly HashSet<AdapterSlot> _doomed = [];
    private readonly LinkedList<AdapterSlot> _idle = new();
    private readonly List<CoreSlab> _retired = [];
    private CoreSlab? _slab;

    public AdapterSlots(int slots, BasisStore store, ScalarType coreType, Device device)
    {
        Count = slots;
        _store = store;
        _coreType = coreType;
        _device = device;
        _free = new Stack<int>(Enumerable.Range(0, slots).Reverse());
    }

    public int Count { get; }

    public int Used
    {
        get
        {
            lock (_gate)
                return Count - _free.Count;
        }
    }

    /// <summary>Slots that some sequence or caller holds.</summary>
    public int Leased
    {
        get
        {
            lock (_gate)
                return Count - _free.Count - _idle.Count;
        }
    }

    public bool TryAcquire(string id, string version, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ResidentAdapter? lease)
    {
        lock (_gate)
        {
            lease = _loaded.TryGetValue((id, version), out AdapterSlot? slot) ? Lease(slot) : null;
            return lease is not null;
        }
    }

    /// <summary>Copies an adapter into a slot, or finds it there, and leases it.</summary>
    /// <param name="cluster">Its cluster, already in use; that use passes to the slot or is released.</param>
    /// <exception cref="InvalidAdapterException">It does not fit its cluster.</exception>
    /// <exception cref="AdapterSlotsExhaustedException">Every slot is leased.</exception>
    public ResidentAdapter Load(AdapterWeights adapter, ResidentCluster cluster)
    {
        AdapterSlot? slot = null;
        ResidentCluster? residual = null;
        try
        {
            residual = _store.UploadResiduals(adapter, cluster);
            float[] packed = new float[(residual ?? cluster).CoreLength];
            cluster.Pack(adapter, packed);
            residual?.PackIdentities(packed);
            lock (_gate)
            {
                // Another thread may have loaded it meanwhile.
                if (_loaded.TryGetValue((adapter.Id, adapter.Version), out AdapterSlot? other))
                    return Lease(other);
                if (_free.Count == 0 && !EvictOldest())
                    throw new AdapterSlotsExhaustedException(adapter.Id, Count);
                EnsurePitch(packed.Length);
                slot = new AdapterSlot(_free.Pop(), adapter.Id, adapter.Version, cluster, residual);
                _slab!.Write(slot.Index, packed);
                _loaded.Add((adapter.Id, adapter.Version), slot);
                return Lease(slot);
            }
        }
        finally
        {
            if (slot is null)
            {
                residual?.Dispose();
                _store.Release(cluster);
            }
        }
    }

    /// <summary>Takes an adapter out of service; its slot is freed at once, or with its last lease. False when it is not loaded.</summary>
    public bool Unload(string id, string version)
    {
        lock (_gate)
        {
            if (!_loaded.Remove((id, version), out AdapterSlot? slot))
                return false;
            if (slot.Leases == 0)
                Free(slot);
            else
                slot.Doomed = _doomed.Add(slot);
            return true;
        }
    }

    public void Release(AdapterSlot slot)
    {
        lock (_gate)
        {
            if (slot.Leases <= 0)
                throw new InvalidOperationException($"adapter '{slot.Id}' has no lease to release");
            if (--slot.Leases > 0)
                return;
            if (slot.Doomed)
                Free(slot);
            else
                slot.Idle = _idle.AddLast(slot);
        }
    }

    /// <summary>
    /// The slab the coming step reads, or null while nothing was ever loaded. Called by the engine thread at the start
    /// of a step, when no kernel reads an outgrown slab any more.
    /// </summary>
    public CoreSlab? BeginStep()
    {
        lock (_gate)
        {
            _retired.ForEach(slab => slab.Dispose());
            _retired.Clear();
            return _slab;
        }
    }

    /// <exception cref="InvalidOperationException">A slot is lost, used twice, or in the wrong list.</exception>
    public void Check()
    {
        lock (_gate)
        {
            AdapterSlot[] used = [.. _loaded.Values, .. _doomed];
            int[] indices = [.. used.Select(s => s.Index), .. _free];
            if (indices.Length != Count || indices.Distinct().Count() != Count)
                throw new InvalidOperationException($"{used.Length} used and {_free.Count} free adapter slots do not partition {Count}");
            if (used.Any(s => (s.Leases == 0) != (s.Idle is not null)) || _idle.Count != used.Count(s => s.Leases == 0))
                throw new InvalidOperationException("an adapter slot is idle and leased at once, or neither");
            if (_doomed.Any(s => s.Leases == 0))
                throw new InvalidOperationException("an unloaded adapter without leases still has its slot");
        }
    }

    public void Dispose()
    {
        BeginStep();
        foreach (AdapterSlot slot in _loaded.Values.Concat(_doomed))
            slot.Residual?.Dispose();
        _slab?.Dispose();
    }

    private ResidentAdapter Lease(AdapterSlot slot)
    {
        if (slot.Idle is not null)
        {
            _idle.Remove(slot.Idle);
            slot.Idle = null;
        }

        slot.Leases++;
        return new ResidentAdapter(this, slot);
    }

    private bool EvictOldest()
    {
        if (_idle.First is not { } oldest)
            return false;
        _loaded.Remove((oldest.Value.Id, oldest.Value.Version));
        Free(oldest.Value);
        return true;
    }

    private void Free(AdapterSlot slot)
    {
        if (slot.Idle is not null)
            _idle.Remove(slot.Idle);
        slot.Idle = null;
        _doomed.Remove(slot);
        _free.Push(slot.Index);
        slot.Residual?.Dispose();
        _store.Release(slot.Cluster);
    }

    /// <summary>Moves to a wider slab when a cluster needs more room per adapter. The old one may still be read by the running step.</summary>
    private void EnsurePitch(int length)
    {
        // Whole cache lines, so that no two adapters share one.
        int pitch = (Math.Max(length, 1) + 31) / 32 * 32;
        if (_slab is not null && _slab.Pitch >= pitch)
            return;
        var wider = new CoreSlab(Count, pitch, _coreType, _device);
        if (_slab is not null)
        {
            foreach (AdapterSlot slot in _loaded.Values.Concat(_doomed))
                wider.CopyRowFrom(_slab, slot.Index);
            _retired.Add(_slab);
        }

        _slab = wider;
    }
}
