using System.Diagnostics.CodeAnalysis;
using Eigengate.Inference.Models;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>
/// The adapters on the device: a fixed number of slots for cores, a pool of fixed size for private parts. All members are
/// thread-safe. Adapters are laid out and copied without the lock and outside of the step's thread, into memory that no running
/// sequence uses, so that no step waits for a load.
/// </summary>
internal sealed class AdapterSlots : IDisposable
{
    private readonly Lock _gate = new();
    private readonly ModelConfig _config;
    private readonly BasisStore _store;
    private readonly PagePool _pool;
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
    public AdapterSlots(int slots, ModelConfig config, BasisStore store, PagePool pool, Device device)
    {
        _config = config;
        _store = store;
        _pool = pool;
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

    private static TaskCompletionSource<ResidentAdapter> NewCaller() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Answers the caller from what is loaded, or makes it one of those who wait for the load, which begins if there is none.</summary>
    /// <param name="waits">The caller waits for room; then the copying is somebody else's as well.</param>
    /// <param name="load">What the caller waits for; null when it has its lease.</param>
    /// <returns>A load that has room and is to be copied by the caller.</returns>
    private AdapterLoad? JoinOrStart(AdapterWeights adapter, TaskCompletionSource<ResidentAdapter> caller, bool waits, out AdapterLoad? load)
    {
        lock (_gate)
        {
            if (TryJoin(adapter, caller, waits, out load))
                return null;
        }

        AdapterLoad prepared = Prepare(adapter);
        try
        {
            EnsureSlab(prepared.Cores.Length);
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_disposed, typeof(Engine));
                if (!TryJoin(adapter, caller, waits, out load))
                {
                    if (!waits && (_queue.Count > 0 || !TryGrant(prepared)))
                        throw Exhausted(adapter.Id);
                    load = prepared;
                    load.Callers.Add(caller);
                    _loading.Add(load.Key, load);
                    if (!waits)
                        return load;
                    load.Place = _queue.AddLast(load);
                    Admit();
                }
            }

            return null;
        }
        finally
        {
            if (!ReferenceEquals(load, prepared))
                ReleaseCluster(prepared.Cluster);
        }
    }

    private bool TryJoin(AdapterWeights adapter, TaskCompletionSource<ResidentAdapter> caller, bool waits, out AdapterLoad? load)
    {
        load = null;
        if (_loaded.TryGetValue((adapter.Id, adapter.Version), out AdapterSlot? slot))
        {
            caller.SetResult(Lease(slot));
            return true;
        }

        if (!_loading.TryGetValue((adapter.Id, adapter.Version), out load))
            return false;
        if (load.Place is not null && !waits)
            throw Exhausted(adapter.Id);
        load.Callers.Add(caller);
        return true;
    }

    /// <summary>Checks and lays out, before anything is taken.</summary>
    private AdapterLoad Prepare(AdapterWeights adapter)
    {
        PrivateLayout? layout = adapter.Factors.Count + adapter.Outputs.Count == 0 ? null : PrivateLayout.Plan(adapter, _config, _pool);
        if (layout?.PageCount > _pool.Count)
        {
            throw new InvalidAdapterException(
                $"adapter '{adapter.Id}' needs {(long)layout.PageCount * _pool.PageBytes} bytes for its own factors, gains and biases; " +
                $"the whole pool has {(long)_pool.Count * _pool.PageBytes}. Give {nameof(EngineOptions.AdapterPoolBytes)} more");
        }

        if (adapter.ClusterKey is not { } key)
        {
            return adapter.Cores.Count == 0
                ? new AdapterLoad(adapter, null, [], layout)
                : throw new InvalidAdapterException($"adapter '{adapter.Id}' has cores but names no cluster");
        }

        ResidentCluster cluster = _store.Use(key);
        try
        {
            float[] cores = new float[cluster.CoreLength];
            cluster.Pack(adapter, cores);
            return new AdapterLoad(adapter, cluster, cores, layout);
        }
        catch
        {
            _store.Release(cluster);
            throw;
        }
    }

    /// <summary>Gives room to those who wait, in their order.</summary>
    private void Admit()
    {
        bool pagesLack = false;
        for (LinkedListNode<AdapterLoad>? node = _queue.First, next; node is not null && _room.HasSlot; node = next)
        {
            next = node.Next;
            AdapterLoad load = node.Value;
            if (pagesLack && load.PageCount > 0)
                continue;
            if (!TryGrant(load))
            {
                pagesLack = true;
                continue;
            }

            _queue.Remove(node);
            load.Place = null;
            _ = Task.Run(() => Copy(load));
        }
    }

    private bool TryGrant(AdapterLoad load)
    {
        if (!_room.TryTake(load.PageCount, out int index, out int[]? pages))
            return false;
        load.Slot = new AdapterSlot(
            index, load.Weights.Id, load.Weights.Version, load.Cluster, load.Layout is null ? null : new PrivateParts(load.Layout, pages, _pool));
        _copies++;
        _copied.Reset();
        return true;
    }

    /// <summary>Copies a load into its room. Without the lock, except to publish it.</summary>
    private void Copy(AdapterLoad load)
    {
        try
        {
            load.Slot!.Parts?.Write(load.Weights);
            for (bool published = false; !published;)
            {
                CoreSlab? slab = Volatile.Read(ref _slab);
                if (load.Cores.Length > 0)
                    slab!.Write(load.Slot.Index, load.Cores);
                lock (_gate)
                {
                    // The slab may have been replaced by a wider one.
                    published = ReferenceEquals(slab, _slab);
                    if (published)
                        Publish(load);
                }
            }
        }
        catch (Exception e)
        {
            lock (_gate)
            {
                _room.Free(load.Slot!.Index, load.Slot.Parts?.Pages ?? []);
                load.Slot.Parts?.Dispose();
                Forget(load, e);
                EndCopy();
            }
        }
    }

    private void Publish(AdapterLoad load)
    {
        AdapterSlot slot = load.Slot!;
        _loading.Remove(load.Key);
        _loaded.Add(load.Key, slot);
        _loads++;
        foreach (TaskCompletionSource<ResidentAdapter> caller in load.Callers)
            caller.SetResult(Lease(slot));
        if (slot.Leases == 0)
            _room.Rest(slot);
        EndCopy();
    }

    private void EndCopy()
    {
        if (--_copies == 0)
            _copied.Set();
        Admit();
    }

    /// <summary>A caller does not want to wait any longer.</summary>
    private void Leave(AdapterLoad? load, TaskCompletionSource<ResidentAdapter> caller, CancellationToken cancel)
    {
        lock (_gate)
        {
            if (!caller.TrySetCanceled(cancel) || load is null)
                return;
            load.Callers.Remove(caller);
            if (load.Callers.Count > 0 || load.Place is null)
                return;
            _queue.Remove(load.Place);
            Forget(load, new OperationCanceledException(cancel));
            Admit();
        }
    }

    private void Forget(AdapterLoad load, Exception reason)
    {
        _loading.Remove(load.Key);
        load.Place = null;
        ReleaseCluster(load.Cluster);
        load.Callers.ForEach(caller => caller.SetException(reason));
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

    private AdapterSlotsExhaustedException Exhausted(string adapter) => new(
        adapter, _room.HasSlot ? $"too much of the adapter pool of {(long)_pool.Count * _pool.PageBytes} bytes is" : $"all {_room.Slots} adapter slots are");

    /// <summary>Makes the slab wide enough for every cluster so far, so that it is hardly ever replaced. The old one may still be read by the running step.</summary>
    private void EnsureSlab(int length)
    {
        // Whole cache lines, so that no two adapters share one.
        int pitch = (Math.Max(length, _store.LongestCore) + 15) / 16 * 16;
        if (length == 0 || Volatile.Read(ref _slab)?.Pitch >= pitch)
            return;
        var wider = new CoreSlab(_room.Slots, pitch, _device);
        lock (_gate)
        {
            if (_disposed || _slab?.Pitch >= pitch)
            {
                wider.Dispose();
                return;
            }

            if (_slab is not null)
            {
                foreach (AdapterSlot slot in _loaded.Values.Concat(_doomed).Where(slot => slot.Cluster is not null))
                    wider.CopyRowFrom(_slab, slot.Index);
                _retired.Add(_slab);
            }

            _slab = wider;
        }
    }

    private void DisposeRetired()
    {
        _retired.ForEach(slab => slab.Dispose());
        _retired.Clear();
    }
}
