using System.Diagnostics.CodeAnalysis;

namespace Eigengate.Inference.KvCache;

/// <summary>
/// Owns the ids of the KV blocks and how many block tables refer to each. Knows nothing of tensors. A block may be
/// shared by several tables; it is free again when the last one lets go. With a prefix index, full blocks that are free
/// keep what is in them until the pool needs them, the least recently used first. Used by the engine thread only.
/// </summary>
internal sealed class KvBlockPool
{
    private readonly int[] _references;
    private readonly LinkedListNode<int>[] _nodes;
    private readonly PrefixIndex? _prefixes;

    private bool _brokenChains;

    // Blocks with nothing of use come first, then kept ones by last use. Tables let go of their last block first, so no kept
    // block leaves before those that follow it.
    private readonly LinkedList<int> _free = new();

    public KvBlockPool(int blocks, int blockSize, PrefixIndex? prefixes = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blocks);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blockSize);
        BlockSize = blockSize;
        _prefixes = prefixes;
        _references = new int[blocks];
        _nodes = new LinkedListNode<int>[blocks];
        for (int id = 0; id < blocks; id++)
            _nodes[id] = _free.AddLast(id);
    }

    /// <summary>Token positions in a block.</summary>
    public int BlockSize { get; }

    public int Count => _references.Length;

    /// <summary>Blocks that no table holds, kept ones included.</summary>
    public int Free => _free.Count;

    public int Used => Count - Free;

    /// <summary>Blocks that can be found by their tokens, held or free.</summary>
    public int Kept => _prefixes?.Count ?? 0;

    [MemberNotNullWhen(true, nameof(_prefixes))]
    public bool KeepsPrefixes => _prefixes is not null;

    public int BlocksFor(int tokens) => (tokens + BlockSize - 1) / BlockSize;

    /// <summary>Takes a free block with one reference, forgetting what was kept in it; false when there is none.</summary>
    public bool TryTake(out int id)
    {
        id = -1;
        if (_free.First is not { } first)
            return false;
        id = first.Value;
        _free.Remove(first);
        if (_prefixes?.Contains(id) == true)
            _prefixes.Remove(id);
        _references[id] = 1;
        return true;
    }

    /// <summary>Adds a reference to the kept block with these tokens at this place.</summary>
    /// <param name="tokens">[block size]</param>
    /// <param name="next">The place after it.</param>
    public bool TryShare(PrefixPlace place, ReadOnlySpan<int> tokens, out int id, out PrefixPlace next)
    {
        id = -1;
        next = place;
        if (!KeepsPrefixes || !_prefixes.TryFind(place, tokens, out id))
            return false;
        if (_references[id]++ == 0)
            _free.Remove(_nodes[id]);
        next = _prefixes.After(id);
        return true;
    }

    /// <summary>Lets a held, computed block be found by its tokens; false when its address is taken.</summary>
    /// <inheritdoc cref="TryShare"/>
    public bool TryKeep(int id, PrefixPlace place, ReadOnlySpan<int> tokens, out PrefixPlace next)
    {
        next = place;
        if (!KeepsPrefixes || !_prefixes.TryAdd(id, place, tokens))
            return false;
        next = _prefixes.After(id);
        return true;
    }

    public void Release(int id)
    {
        if (_references[id] == 0)
            throw new InvalidOperationException($"KV block {id} is released but already free");
        if (--_references[id] > 0)
            return;
        if (_prefixes?.Contains(id) == true)
            _free.AddLast(_nodes[id]);
        else
            _free.AddFirst(_nodes[id]);
    }

    /// <summary>Releases a block that others after it are still held with.</summary>
    public void ReleaseEarly(int id)
    {
        _brokenChains = true;
        Release(id);
    }

    /// <summary>Compares the counts with the tables that should explain them.</summary>
    /// <exception cref="InvalidOperationException">A block is lost, free but used, counted wrongly, or kept in the wrong order.</exception>
    public void Check(IEnumerable<KvBlockTable> tables)
    {
        int[] expected = new int[Count];
        foreach (KvBlockTable table in tables)
        {
            foreach (int id in table.Held)
                expected[id]++;
        }

        for (int id = 0; id < Count; id++)
        {
            if (expected[id] != _references[id])
                throw new InvalidOperationException($"KV block {id} has {_references[id]} references but {expected[id]} tables hold it");
        }

        bool[] free = new bool[Count];
        bool kept = false;
        foreach (int id in _free)
        {
            if (free[id] || _references[id] != 0)
                throw new InvalidOperationException($"KV block {id} is free twice or free while used");
            free[id] = true;
            if (kept && _prefixes?.Contains(id) != true)
                throw new InvalidOperationException($"KV block {id} holds nothing but would be taken after blocks that do");
            kept = _prefixes?.Contains(id) == true;
        }

        if (_free.Count != expected.Count(e => e == 0))
            throw new InvalidOperationException($"{expected.Count(e => e == 0)} KV blocks are unused but {_free.Count} are free");
        _prefixes?.Check(chained: !_brokenChains);
    }
}
