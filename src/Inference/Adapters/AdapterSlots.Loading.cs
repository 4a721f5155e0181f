namespace Eigengate.Inference.Adapters;

/// <summary>The way of an adapter to the device: checked and laid out, given room in turn, copied, published.</summary>
internal sealed partial class AdapterSlots
{
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
                $"the whole pool has {(long)_pool.Count * _pool.PageBytes} ({nameof(EngineOptions.AdapterPoolBytes)}, --adapter-pool-gb)");
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

    private AdapterSlotsExhaustedException Exhausted(string adapter) => new(
        adapter, _room.HasSlot ? $"too much of the adapter pool of {(long)_pool.Count * _pool.PageBytes} bytes is" : $"all {_room.Slots} adapter slots are");

    /// <summary>Makes the slab wide enough for every cluster so far, so that it is hardly ever replaced. The old one may still be read by the running step.</summary>
    private void EnsureSlab(int length)
    {
        // Whole cache lines, so that no two adapters share one.
        int pitch = (Math.Max(length, _store.LongestCore) + 31) / 32 * 32;
        if (length == 0 || Volatile.Read(ref _slab)?.Pitch >= pitch)
            return;
        var wider = new CoreSlab(_room.Slots, pitch, _coreType, _device);
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
}
