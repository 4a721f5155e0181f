using System.Runtime.InteropServices;

namespace Eigengate.Inference.KvCache;

/// <summary>Where a block stands in its prefix: after another kept block, or first under a root.</summary>
/// <param name="Root">Of a first block; null after another block.</param>
/// <param name="Previous">Serial number of the kept block before it; 0 for a first block.</param>
internal readonly record struct PrefixPlace(PrefixRoot? Root, long Previous);

/// <summary>
/// Finds full KV blocks by their tokens and all that went before. A block's address is chained: the serial number of the
/// kept block before it and a hash of its own tokens. Serial numbers are never used twice and tokens are compared on a
/// hit, so that a match is exact however the hash behaves; a hash that is taken by other tokens only costs the sharing.
/// </summary>
/// <param name="blocks">Block ids are below this.</param>
/// <param name="blockSize">Tokens in a block.</param>
/// <param name="hash">Hashes the tokens of a block; null takes <see cref="HashCode"/>.</param>
internal sealed class PrefixIndex(int blocks, int blockSize, Func<ReadOnlySpan<int>, int>? hash = null)
{
    private readonly record struct Address(PrefixPlace Place, int TokenHash);

    private readonly Func<ReadOnlySpan<int>, int> _hash = hash ?? HashOf;
    private readonly Dictionary<Address, int> _byAddress = [];
    private readonly Address[] _addresses = new Address[blocks];
    private readonly long[] _serials = new long[blocks];
    private readonly int[] _tokens = new int[blocks * blockSize];
    private long _lastSerial;

    public int Count => _byAddress.Count;

    public bool Contains(int id) => _serials[id] != 0;

    /// <summary>The place right after a kept block.</summary>
    public PrefixPlace After(int id) => new(null, _serials[id]);

    /// <param name="tokens">[block size]</param>
    public bool TryFind(PrefixPlace place, ReadOnlySpan<int> tokens, out int id) =>
        _byAddress.TryGetValue(new Address(place, _hash(tokens)), out id) && tokens.SequenceEqual(TokensOf(id));

    /// <summary>Keeps a block; false when its address is taken.</summary>
    /// <param name="tokens">[block size]</param>
    public bool TryAdd(int id, PrefixPlace place, ReadOnlySpan<int> tokens)
    {
        var address = new Address(place, _hash(tokens));
        if (!_byAddress.TryAdd(address, id))
            return false;
        _addresses[id] = address;
        _serials[id] = ++_lastSerial;
        tokens.CopyTo(TokensOf(id));
        return true;
    }

    public void Remove(int id)
    {
        if (!_byAddress.Remove(_addresses[id]))
            throw new InvalidOperationException($"KV block {id} is not in the prefix index");
        _addresses[id] = default;
        _serials[id] = 0;
    }

    /// <param name="chained">No block may follow one that is gone.</param>
    /// <exception cref="InvalidOperationException">A block is found under another's address, or follows a block that is gone.</exception>
    public void Check(bool chained)
    {
        HashSet<long> serials = [.. _serials.Where(s => s != 0)];
        if (serials.Count != _byAddress.Count)
            throw new InvalidOperationException($"{_byAddress.Count} prefix addresses lead to {serials.Count} kept KV blocks");
        foreach (var (address, id) in _byAddress)
        {
            if (_addresses[id] != address || _hash(TokensOf(id)) != address.TokenHash)
                throw new InvalidOperationException($"KV block {id} is found under another block's address");
            if (chained && address.Place.Root is null && !serials.Contains(address.Place.Previous))
                throw new InvalidOperationException($"KV block {id} is kept but the one before it is gone");
        }
    }

    private Span<int> TokensOf(int id) => _tokens.AsSpan(id * blockSize, blockSize);

    private static int HashOf(ReadOnlySpan<int> tokens)
    {
        var hash = new HashCode();
        hash.AddBytes(MemoryMarshal.AsBytes(tokens));
        return hash.ToHashCode();
    }
}
