namespace Eigengate.Inference.KvCache;

/// <summary>
/// One sequence's ordered KV blocks: token position p lies in block p / block size at offset p % block size. Blocks that no
/// row looks at any more can be let go from the beginning on; the places of the others stay.
/// </summary>
internal sealed class KvBlockTable(KvBlockPool pool, PrefixRoot root)
{
    private int[] _blocks = new int[4];
    private int _kept;
    private int _dropped;
    private PrefixPlace _place = new(root, 0);
    private bool _keeps = pool.KeepsPrefixes;

    /// <summary>Token positions in a block.</summary>
    public int BlockSize => pool.BlockSize;

    /// <summary>Blocks from the first position on, those that were let go included.</summary>
    public int Count { get; private set; }

    /// <summary>[count]; 0 in place of a block that was let go.</summary>
    public ReadOnlySpan<int> Blocks => _blocks.AsSpan(0, Count);

    /// <summary>The blocks that the table still has.</summary>
    public ReadOnlySpan<int> Held => _blocks.AsSpan(_dropped, Count - _dropped);

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
            pool.TryTake(out int id);
            Add(id);
        }

        return true;
    }

    /// <summary>Fills an empty table with the kept blocks of the longest known prefix.</summary>
    /// <param name="tokens">All of the sequence's tokens.</param>
    /// <param name="limit">Positions that may come from the cache.</param>
    /// <returns>Positions that did; whole blocks.</returns>
    public int SharePrefix(ReadOnlySpan<int> tokens, int limit)
    {
        while ((Count + 1) * BlockSize <= limit && pool.TryShare(_place, BlockOf(tokens, Count), out int id, out _place))
        {
            Add(id);
            _kept++;
        }

        return Count * BlockSize;
    }

    /// <summary>
    /// Lets later sequences find the full blocks that were computed. Where another sequence computed the same at the same
    /// time, both hold that one's block from here on.
    /// </summary>
    /// <param name="tokens">All of the sequence's tokens.</param>
    /// <param name="computed">Leading positions whose keys and values are in the cache.</param>
    public void KeepPrefix(ReadOnlySpan<int> tokens, int computed)
    {
        for (; _keeps && (_kept + 1) * BlockSize <= computed; _kept++)
        {
            ReadOnlySpan<int> block = BlockOf(tokens, _kept);
            if (pool.TryShare(_place, block, out int known, out PrefixPlace next))
            {
                pool.Release(_blocks[_kept]);
                _blocks[_kept] = known;
                _place = next;
            }
            else
            {
                // Where the address is taken by other tokens, what follows has no place to stand.
                _keeps = pool.TryKeep(_blocks[_kept], _place, block, out _place);
            }
        }
    }

    /// <summary>
    /// Lets go of the blocks before a position. Kept ones can still be found, but are older now than those that follow them:
    /// when the pool takes them, the rest of their prefix can no longer be reached and leaves in its turn.
    /// </summary>
    public void DropBefore(int position)
    {
        int end = Math.Min(Math.Max(position, 0) / BlockSize, Count), first = _dropped;
        _dropped = Math.Max(first, end);
        for (int b = end - 1; b >= first; b--)
        {
            pool.ReleaseEarly(_blocks[b]);
            _blocks[b] = 0;
        }
    }

    /// <summary>Gives all blocks back, the last first.</summary>
    public void Release()
    {
        while (Count > _dropped)
            pool.Release(_blocks[--Count]);
        Count = _kept = _dropped = 0;
        _place = new PrefixPlace(root, 0);
        _keeps = pool.KeepsPrefixes;
    }

    private ReadOnlySpan<int> BlockOf(ReadOnlySpan<int> tokens, int index) => tokens.Slice(index * BlockSize, BlockSize);

    private void Add(int id)
    {
        if (Count == _blocks.Length)
            Array.Resize(ref _blocks, 2 * Count);
        _blocks[Count++] = id;
    }
}
