namespace Eigengate.Inference.Tokenization;

/// <summary>The tokens that have text, sorted by their bytes, with how much each shares with the one before it: a trie, laid flat.</summary>
internal sealed class SortedTokens
{
    private readonly int[] _ids;
    private readonly byte[] _bytes;
    private readonly int[] _starts;
    private readonly ushort[] _sharedPrefixes;

    public SortedTokens(Tokenizer tokenizer)
    {
        _ids = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(id => !tokenizer.IsSpecial(id) && tokenizer.TokenBytes(id).Length is > 0 and <= ushort.MaxValue)];
        Array.Sort(_ids, (a, b) => tokenizer.TokenBytes(a).SequenceCompareTo(tokenizer.TokenBytes(b)));
        _starts = new int[_ids.Length + 1];
        for (var i = 0; i < _ids.Length; i++)
            _starts[i + 1] = _starts[i] + tokenizer.TokenBytes(_ids[i]).Length;
        _bytes = new byte[_starts[^1]];
        _sharedPrefixes = new ushort[_ids.Length];
        for (var i = 0; i < _ids.Length; i++)
        {
            var bytes = tokenizer.TokenBytes(_ids[i]);
            bytes.CopyTo(_bytes.AsSpan(_starts[i]));
            LongestToken = Math.Max(LongestToken, bytes.Length);
            if (i > 0)
                _sharedPrefixes[i] = (ushort)bytes.CommonPrefixLength(Bytes(i - 1));
        }

        SingleBytes = [.. _ids.Where(id => tokenizer.TokenBytes(id).Length == 1)];
    }

    public int Count => _ids.Length;

    /// <summary>In bytes.</summary>
    public int LongestToken { get; }

    /// <summary>Ids of the tokens of one byte.</summary>
    public IReadOnlyList<int> SingleBytes { get; }

    public int Id(int index) => _ids[index];

    public ReadOnlySpan<byte> Bytes(int index) => _bytes.AsSpan(_starts[index].._starts[index + 1]);

    /// <summary>Bytes that this token and the one before it have in common at their start.</summary>
    public int SharedPrefix(int index) => _sharedPrefixes[index];

    /// <summary>The first token from an index on that shares no more than so many bytes with the one before it.</summary>
    public int NextSharingAtMost(int index, int bytes)
    {
        var ahead = _sharedPrefixes.AsSpan(index).IndexOfAnyInRange((ushort)0, (ushort)bytes);
        return ahead < 0 ? Count : index + ahead;
    }
}
