namespace Eigengate.Inference.Tokenization;

/// <summary>Which two neighbouring symbols may become one, and how early. Lower rank merges first.</summary>
internal sealed class MergeTable
{
    private readonly Dictionary<ulong, (int Rank, int Merged)> _merges = [];

    /// <summary>The first rule for a pair wins when a file repeats it with a later rank.</summary>
    public void Add(int left, int right, int rank, int merged) => _merges.TryAdd(Key(left, right), (rank, merged));

    public bool TryGet(int left, int right, out (int Rank, int Merged) merge) => _merges.TryGetValue(Key(left, right), out merge);

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;
}
