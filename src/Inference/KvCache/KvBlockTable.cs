namespace Eigengate.Inference.KvCache;

/// <summary>One sequence's ordered KV blocks: token position p lies in block p / block size at offset p % block size.</summary>
public sealed class KvBlockTable(KvBlockPool pool)
{
    private int[] _blocks = new int[4];

    /// <summary>Token positions in a block.</summary>
    public int BlockSize => pool.BlockSize;

    public int Count { get; private set; }

    public ReadOnlySpan<int> Blocks => _blocks.AsSpan(0, Count);

    /// <summary>KV slot of a token position: block id · block size + offset.</summary>
    public int Slot(int position) => (_blocks[position / pool.BlockSize] * pool.BlockSize) + (position % pool.BlockSize);

    /// <summary>Takes blocks until <paramref name="tokens"/> positions fit; takes none and returns false when they are not free.</summary>
    public bool TryReserve(int tokens)
    {
        int needed = pool.BlocksFor(tokens) - Count;
        if (needed > pool.Free)
            return false;
        for (; needed > 0; needed--)
        {
            if (Count == _blocks.Length)
                Array.Resize(ref _blocks, 2 * Count);
            pool.TryTake(out _blocks[Count++]);
        }

        return true;
    }

    /// <summary>Gives all blocks back.</summary>
    public void Release()
    {
        while (Count > 0)
            pool.Release(_blocks[--Count]);
    }
}
