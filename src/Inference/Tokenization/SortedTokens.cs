namespace Eigengate.Inference.Tokenization;

/// <summary>The tokens that have text, sorted by their bytes, with how much each shares with the one before it.</summary>
internal sealed class SortedTokens
{
    private readonly int[] _ids;
    private readonly int[] _sharedPrefixes;

    public SortedTokens(Tokenizer tokenizer)
    {
        _ids = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(id => !tokenizer.IsSpecial(id) && tokenizer.TokenBytes(id).Length > 0)];
        Array.Sort(_ids, (a, b) => tokenizer.TokenBytes(a).SequenceCompareTo(tokenizer.TokenBytes(b)));
        _sharedPrefixes = new int[_ids.Length];
        for (var i = 0; i < _ids.Length; i++)
        {
            var bytes = tokenizer.TokenBytes(_ids[i]);
            LongestToken = Math.Max(LongestToken, bytes.Length);
            if (i > 0)
                _sharedPrefixes[i] = bytes.CommonPrefixLength(tokenizer.TokenBytes(_ids[i - 1]));
        }
    }

    public int Count => _ids.Length;

    /// <summary>In bytes.</summary>
    public int LongestToken { get; }

    public int Id(int index) => _ids[index];

    /// <summary>Bytes that this token and the one before it have in common at their start.</summary>
    public int SharedPrefix(int index) => _sharedPrefixes[index];
}
