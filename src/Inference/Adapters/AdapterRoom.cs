using System.Diagnostics.CodeAnalysis;

namespace Eigengate.Inference.Adapters;

/// <summary>
/// Slots and pages, and who gives way: adapters that nobody leases, the least recently used first. Guarded by <see cref="AdapterSlots"/>.
/// </summary>
/// <param name="evicted">Told of every adapter that gave way; its slot and pages are free by then.</param>
internal sealed class AdapterRoom(int slots, PagePool pool, Action<AdapterSlot> evicted)
{
    private readonly Stack<int> _free = new(Enumerable.Range(0, slots).Reverse());
    private readonly LinkedList<AdapterSlot> _idle = new();
    private int _idlePages;

    public int Slots { get; } = slots;

    public int Used => Slots - _free.Count;

    public int Idle => _idle.Count;

    public long Evictions { get; private set; }

    /// <summary>A slot is free, or can be.</summary>
    public bool HasSlot => _free.Count + _idle.Count > 0;

    /// <summary>Takes a slot and pages; others give way only when that makes enough room.</summary>
    public bool TryTake(int pageCount, out int index, [NotNullWhen(true)] out int[]? pages)
    {
        (index, pages) = (-1, null);
        if (!HasSlot || pool.Free + _idlePages < pageCount)
            return false;
        for (LinkedListNode<AdapterSlot>? node = _idle.First, next; pool.Free < pageCount; node = next)
        {
            next = node!.Next;
            if (node.Value.PageCount > 0)
                Evict(node.Value);
        }

        if (_free.Count == 0)
            Evict(_idle.First!.Value);
        index = _free.Pop();
        pages = pool.Take(pageCount);
        return true;
    }

    public void Free(int index, int[] pages)
    {
        _free.Push(index);
        pool.Return(pages);
    }

    /// <summary>Nobody leases it any more: it may give way, as the most recently used.</summary>
    public void Rest(AdapterSlot slot)
    {
        slot.Idle = _idle.AddLast(slot);
        _idlePages += slot.PageCount;
    }

    /// <summary>It is leased again, or goes.</summary>
    public void Wake(AdapterSlot slot)
    {
        if (slot.Idle is null)
            return;
        _idle.Remove(slot.Idle);
        _idlePages -= slot.PageCount;
        slot.Idle = null;
    }

    /// <param name="used">Slots and pages of adapters that are loaded or being loaded.</param>
    /// <exception cref="InvalidOperationException">A slot or page is lost or used twice, or the eviction order is wrong.</exception>
    public void Check(IReadOnlyCollection<AdapterSlot> used)
    {
        int[] indices = [.. used.Select(s => s.Index), .. _free];
        if (indices.Length != Slots || indices.Distinct().Count() != Slots)
            throw new InvalidOperationException($"{used.Count} used and {_free.Count} free adapter slots do not partition {Slots}");
        if (_idle.Any(s => s.Leases > 0) || !_idle.All(used.Contains) || _idle.Sum(s => s.PageCount) != _idlePages)
            throw new InvalidOperationException("an adapter that may give way is leased or unknown, or its pages are not counted");
        pool.Check(used.SelectMany(s => s.Parts?.Pages ?? []));
    }

    private void Evict(AdapterSlot slot)
    {
        Wake(slot);
        Free(slot.Index, slot.Parts?.Pages ?? []);
        Evictions++;
        evicted(slot);
    }
}
