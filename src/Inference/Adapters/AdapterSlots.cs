using System.Diagnostics.CodeAnalysis;
using Eigengate.Inference.Models;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>
/// The adapters on the device: a fixed number of slots for cores, a pool of fixed size for private parts. All members are
/// thread-safe. Adapters are laid out and copied without the lock and outside of the step's thread, into memory that no running
/// sequence uses, so that no step waits for a load.
/// </summary>
internal sealed partial class AdapterSlots : IDisposable
{
    private readonly Lock _gate = new();
    private readonly ModelConfig _config;
    private readonly BasisStore _store;
    private readonly PagePool _pool;
    private readonly ScalarType _coreType;
    private readonly Device _device;
    private readonly AdapterRoom _room;
    private readonly Dictionary<(string Id, string Version), AdapterSlot> _loaded = [];
    private readonly Dictionary<(string Id, string Version), AdapterLoad> _loading = [];
    private readonly HashSet<AdapterSlot> _doomed = [];
    private readonly LinkedList<AdapterLoad> _queue = new();
    private readonly List<CoreSlab> _retired = [];
    private readonly ManualResetEventSlim _copied = new(true);
    private CoreSlab? _slab;
    private int _copies;
    private long _hits;
    private long _misses;
    private long _loads;
    private bool _disposed;

    /// <param name="pool">Owned from here on.</param>
    public AdapterSlots(int slots, ModelConfig config, BasisStore store, PagePool pool, ScalarType coreType, Device device)
    {
        _config = config;
        _store = store;
        _pool = pool;
        _coreType = coreType;
        _device = device;
        _room = new AdapterRoom(slots, pool, slot =>
        {
            _loaded.Remove((slot.Id, slot.Version));
            Drop(slot);
        });
    }

    public AdapterStats Stats
    {
        get
        {
            lock (_gate)
            {
                return new AdapterStats(
                    _room.Slots, _room.Used, _room.Used - _room.Idle, _queue.Count, (long)_pool.Count * _pool.PageBytes,
                    (long)(_pool.Count - _pool.Free) * _pool.PageBytes, _hits, _misses, _loads, _room.Evictions);
            }
        }
    }

    public bool TryAcquire(string id, string version, [NotNullWhen(true)] out ResidentAdapter? lease)
    {
        lock (_gate)
        {
            lease = _loaded.TryGetValue((id, version), out AdapterSlot? slot) ? Lease(slot) : null;
            (_hits, _misses) = lease is null ? (_hits, _misses + 1) : (_hits + 1, _misses);
            return lease is not null;
        }
    }

    /// <summary>Leases an adapter, copied to the device on this thread if it is not there. Does not wait for room.</summary>
    /// <exception cref="InvalidAdapterException">It does not fit the base model, its cluster or the pool.</exception>
    /// <exception cref="AdapterSlotsExhaustedException">Too much is leased, or others wait for room already.</exception>
    public ResidentAdapter Load(AdapterWeights adapter)
    {
        TaskCompletionSource<ResidentAdapter> caller = NewCaller();
        if (JoinOrStart(adapter, caller, waits: false, out _) is { } started)
            Copy(started);
        return caller.Task.GetAwaiter().GetResult();
    }

    /// <summary>
    /// Leases an adapter, copied to the device by another thread if it is not there, as soon as there is room. Who came first gets
    /// room first, but an adapter without private parts does not wait behind those that wait for pages.
    /// </summary>
    /// <exception cref="InvalidAdapterException">It does not fit the base model, its cluster or the pool.</exception>
    /// <exception cref="ObjectDisposedException">The engine ended meanwhile.</exception>
    public async Task<ResidentAdapter> LoadAsync(AdapterWeights adapter, CancellationToken cancel)
    {
        TaskCompletionSource<ResidentAdapter> caller = NewCaller();
        JoinOrStart(adapter, caller, waits: true, out AdapterLoad? load);
        using CancellationTokenRegistration registration = cancel.UnsafeRegister(_ => Leave(load, caller, cancel), null);
        return await caller.Task.ConfigureAwait(false);
    }

    /// <exception cref="InvalidAdapterException">It could not be loaded even into an empty engine.</exception>
    public void RequireLoadable(AdapterWeights adapter) => ReleaseCluster(Prepare(adapter).Cluster);

    /// <summary>Takes an adapter out of service; its room is freed at once, or with its last lease. False when it is not loaded.</summary>
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
            {
                Free(slot);
                return;
            }

            _room.Rest(slot);
            Admit();
        }
    }

    /// <summary>
    /// The slab the coming step reads, or null while no core was ever loaded. Called by the engine thread at the start
    /// of a step, when no kernel reads an outgrown slab any more.
    /// </summary>
    public CoreSlab? BeginStep()
    {
        lock (_gate)
        {
            if (_copies == 0)
                DisposeRetired();
            return _slab;
        }
    }

    /// <exception cref="InvalidOperationException">A slot or page is lost, used twice, or in the wrong list.</exception>
    public void Check()
    {
        lock (_gate)
        {
            AdapterSlot[] loaded = [.. _loaded.Values, .. _doomed], copying = [.. _loading.Values.Select(load => load.Slot).OfType<AdapterSlot>()];
            _room.Check([.. loaded, .. copying]);
            if (loaded.Any(s => (s.Leases == 0) != (s.Idle is not null)) || copying.Any(s => s.Idle is not null))
                throw new InvalidOperationException("an adapter slot may give way and is leased at once, or neither");
            if (_doomed.Any(s => s.Leases == 0))
                throw new InvalidOperationException("an unloaded adapter without leases still has its slot");
            if (copying.Length != _copies || _queue.Count != _loading.Count - _copies || _queue.Any(load => load.Callers.Count == 0))
                throw new InvalidOperationException("a load waits that nobody wants, or is lost");
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            foreach (AdapterLoad load in _queue)
                Forget(load, new ObjectDisposedException(nameof(Engine)));
            _queue.Clear();
        }

        // A copy that began writes to memory that is about to go.
        _copied.Wait();
        DisposeRetired();
        foreach (AdapterSlot slot in _loaded.Values.Concat(_doomed))
            slot.Parts?.Dispose();
        _slab?.Dispose();
        _pool.Dispose();
        _copied.Dispose();
    }

    private ResidentAdapter Lease(AdapterSlot slot)
    {
        _room.Wake(slot);
        slot.Leases++;
        return new ResidentAdapter(this, slot);
    }

    private void Free(AdapterSlot slot)
    {
        _doomed.Remove(slot);
        _room.Wake(slot);
        _room.Free(slot.Index, slot.Parts?.Pages ?? []);
        Drop(slot);
        Admit();
    }

    private void Drop(AdapterSlot slot)
    {
        slot.Parts?.Dispose();
        ReleaseCluster(slot.Cluster);
    }

    private void ReleaseCluster(ResidentCluster? cluster)
    {
        if (cluster is not null)
            _store.Release(cluster);
    }

    private void DisposeRetired()
    {
        _retired.ForEach(slab => slab.Dispose());
        _retired.Clear();
    }
}
