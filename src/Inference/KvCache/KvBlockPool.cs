namespace Eigengate.Inference.KvCache;

/// <summary>
/// Owns the ids of the KV blocks and how many block tables refer to each. Knows nothing of tensors. A block may be
/// shared by several tables; it is free again when the last one lets go. Used by the engine thread only.
/// </summary>
public sealed class KvBlockPool
{
    private readonly int[] _references;
    private readonly Stack<int> _free;

    public KvBlockPool(int blocks, int blockSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blocks);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blockSize);
        BlockSize = blockSize;
        _references = new int[blocks];
        _free = new Stack<int>(blocks);
        for (int id = blocks - 1; id >= 0; id--)
            _free.Push(id);
    }

    /// <summary>Token positions in a block.</summary>
    public int BlockSize { get; }

    public int Count => _references.Length;

    public int Free => _free.Count;

    public int Used => Count - Free;

    public int BlocksFor(int tokens) => (tokens + BlockSize - 1) / BlockSize;

    /// <summary>Takes a free block with one reference; false when there is none.</summary>
    public bool TryTake(out int id)
    {
        if (!_free.TryPop(out id))
            return false;
        _references[id] = 1;
        return true;
    }

    public void AddReference(int id)
    {
        if (_references[id] == 0)
            throw new InvalidOperationException($"KV block {id} is free and cannot be shared");
        _references[id]++;
    }

    public void Release(int id)
    {
        if (_references[id] == 0)
            throw new InvalidOperationException($"KV block {id} is released but already free");
        if (--_references[id] == 0)
            _free.Push(id);
    }

    /// <summary>Compares the counts with the tables that should explain them.</summary>
    /// <exception cref="InvalidOperationException">A block is lost, free but used, or counted wrongly.</exception>
    public void Check(IEnumerable<KvBlockTable> tables)
    {
        int[] expected = new int[Count];
        foreach (KvBlockTable table in tables)
        {
            foreach (int id in table.Blocks)
                expected[id]++;
        }

        for (int id = 0; id < Count; id++)
        {
            if (expected[id] != _references[id])
                throw new InvalidOperationException($"KV block {id} has {_references[id]} references but {expected[id]} tables hold it");
        }

        bool[] free = new bool[Count];
        foreach (int id in _free)
        {
            if (free[id] || _references[id] != 0)
                throw new InvalidOperationException($"KV block {id} is free twice or free while used");
            free[id] = true;
        }

        if (_free.Count != expected.Count(e => e == 0))
            throw new InvalidOperationException($"{expected.Count(e => e == 0)} KV blocks are unused but {_free.Count} are free");
    }
}
