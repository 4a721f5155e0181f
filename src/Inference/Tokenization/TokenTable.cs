namespace Eigengate.Inference.Tokenization;

/// <summary>The bytes of every token in one flat array; ids without a token have none.</summary>
internal sealed class TokenTable
{
    private readonly byte[] _bytes;
    private readonly int[] _starts;

    public TokenTable(IReadOnlyList<(int Id, byte[] Bytes)> tokens)
    {
        Count = tokens.Max(t => t.Id) + 1;
        _starts = new int[Count + 1];
        foreach (var (id, bytes) in tokens)
            _starts[id + 1] = bytes.Length;
        for (var id = 0; id < Count; id++)
            _starts[id + 1] += _starts[id];
        _bytes = new byte[_starts[Count]];
        foreach (var (id, bytes) in tokens)
            bytes.CopyTo(_bytes, _starts[id]);
    }

    /// <summary>Highest token id plus one.</summary>
    public int Count { get; }

    /// <summary>Empty for ids that are not tokens: a model's output may be wider than its vocabulary.</summary>
    public ReadOnlySpan<byte> this[int id] => (uint)id < (uint)Count ? _bytes.AsSpan(_starts[id].._starts[id + 1]) : [];
}
