using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Text;

namespace Eigengate.Inference.Tokenization;

/// <summary>What a byte-pair model consists of.</summary>
/// <param name="Pieces">Piece to token id.</param>
/// <param name="Characters">Code point to symbol. Symbols outside the vocabulary take part in merges but are not tokens.</param>
/// <param name="Merges">Pairs of symbols.</param>
/// <param name="ByteTokens">Token id of each byte, for characters without a symbol; null when the model has no byte fallback.</param>
/// <param name="UnknownId">Stands for a character without symbol and without byte tokens; null drops the character.</param>
/// <param name="FuseUnknown">One unknown token for a run of such characters.</param>
/// <param name="WholePiecesFirst">A piece that is in the vocabulary as a whole is taken without looking at merges.</param>
/// <param name="Unbreakable">Pieces that are cut out of the text first and never merged, longest match first.</param>
internal sealed record BytePairModel(
    IReadOnlyDictionary<string, int> Pieces,
    IReadOnlyDictionary<int, int> Characters,
    MergeTable Merges,
    int[]? ByteTokens,
    int? UnknownId,
    bool FuseUnknown = false,
    bool WholePiecesFirst = false,
    IReadOnlyList<string>? Unbreakable = null);

/// <summary>
/// Byte-pair encoding of one piece of text: the pair of lowest rank is merged first, the leftmost one among equals,
/// until none is left. Safe for concurrent use.
/// </summary>
internal sealed class BytePairEncoder(BytePairModel model)
{
    private const int NoSymbol = int.MinValue;

    // Words repeat; long pieces rarely do. Bounded, so that no stream of odd words fills the memory.
    private const int LongestCachedPiece = 24;
    private const int MostCachedPieces = 65_536;

    [ThreadStatic]
    private static Symbols? _scratch;

    private readonly ConcurrentDictionary<string, int[]> _cache = new();
    private readonly FrozenDictionary<int, int> _characters = model.Characters.ToFrozenDictionary();
    private volatile bool _cacheHasRoom = true;
    private readonly int _vocabularySize = model.Pieces.Values.DefaultIfEmpty(-1).Max() + 1;
    private readonly ILookup<char, string> _unbreakable =
        (model.Unbreakable ?? []).OrderByDescending(piece => piece.Length).ToLookup(piece => piece[0]);

    public void Encode(string piece, List<int> ids)
    {
        if (piece.Length == 0)
            return;
        if (model.WholePiecesFirst && model.Pieces.TryGetValue(piece, out var whole))
        {
            ids.Add(whole);
            return;
        }

        if (_cache.TryGetValue(piece, out var cached))
        {
            ids.AddRange(cached);
            return;
        }

        var symbols = _scratch ??= new Symbols();
        symbols.Clear();
        AddCharacters(piece, symbols);
        Merge(symbols);
        var from = ids.Count;
        Emit(symbols, ids);
        // Only misses count the entries, which takes the cache's locks; a full cache stays as it is.
        if (piece.Length <= LongestCachedPiece && _cacheHasRoom)
        {
            _cache[piece] = [.. ids[from..]];
            _cacheHasRoom = _cache.Count < MostCachedPieces;
        }
    }

    private void AddCharacters(string piece, Symbols symbols)
    {
        for (var at = 0; at < piece.Length;)
        {
            var unbreakable = _unbreakable.Count == 0
                ? null
                : _unbreakable[piece[at]].FirstOrDefault(u => string.CompareOrdinal(piece, at, u, 0, u.Length) == 0);
            if (unbreakable is not null)
            {
                // The complement is a symbol that no merge rule knows.
                symbols.Add(~model.Pieces[unbreakable], 0);
                at += unbreakable.Length;
                continue;
            }

            if (Rune.DecodeFromUtf16(piece.AsSpan(at), out var rune, out var consumed) != System.Buffers.OperationStatus.Done)
                rune = Rune.ReplacementChar;
            symbols.Add(_characters.GetValueOrDefault(rune.Value, NoSymbol), rune.Value);
            at += consumed;
        }
    }

    private void Merge(Symbols symbols)
    {
        for (var left = 0; left + 1 < symbols.Count; left++)
            Propose(symbols, left, left + 1);
        while (symbols.Proposals.TryDequeue(out var left, out var priority))
        {
            var right = symbols.Next[left];
            // A proposal is stale when one of its two symbols has been merged since.
            if (right < 0 || symbols.Id[left] == NoSymbol
                || !model.Merges.TryGet(symbols.Id[left], symbols.Id[right], out var merge)
                || merge.Rank != (int)(priority >> 32))
            {
                continue;
            }

            symbols.Join(left, right, merge.Merged);
            if (symbols.Previous[left] >= 0)
                Propose(symbols, symbols.Previous[left], left);
            if (symbols.Next[left] >= 0)
                Propose(symbols, left, symbols.Next[left]);
        }
    }

    private void Propose(Symbols symbols, int left, int right)
    {
        if (model.Merges.TryGet(symbols.Id[left], symbols.Id[right], out var merge))
            symbols.Proposals.Enqueue(left, ((long)merge.Rank << 32) | (uint)left);
    }

    private void Emit(Symbols symbols, List<int> ids)
    {
        var afterUnknown = false;
        for (var at = 0; at >= 0; at = symbols.Next[at])
        {
            var id = symbols.Id[at];
            var known = id != NoSymbol && id < _vocabularySize;
            if (known)
                ids.Add(id < 0 ? ~id : id);
            else if (model.ByteTokens is not null)
                EmitBytes(symbols.CodePoint[at], ids);
            else if (model.UnknownId is { } unknown && !(afterUnknown && model.FuseUnknown))
                ids.Add(unknown);
            afterUnknown = !known;
        }
    }

    private void EmitBytes(int codePoint, List<int> ids)
    {
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var value in utf8[..new Rune(codePoint).EncodeToUtf8(utf8)])
            ids.Add(model.ByteTokens![value]);
    }

    /// <summary>A doubly linked list of symbols in reused arrays, with the merges proposed so far.</summary>
    private sealed class Symbols
    {
        public int[] Id = new int[64];
        public int[] CodePoint = new int[64];
        public int[] Previous = new int[64];
        public int[] Next = new int[64];

        public int Count { get; private set; }

        public PriorityQueue<int, long> Proposals { get; } = new();

        public void Clear() => Count = 0;

        public void Add(int id, int codePoint)
        {
            if (Count == Id.Length)
            {
                Array.Resize(ref Id, Count * 2);
                Array.Resize(ref CodePoint, Count * 2);
                Array.Resize(ref Previous, Count * 2);
                Array.Resize(ref Next, Count * 2);
            }

            Id[Count] = id;
            CodePoint[Count] = codePoint;
            Previous[Count] = Count - 1;
            Next[Count] = -1;
            if (Count > 0)
                Next[Count - 1] = Count;
            Count++;
        }

        public void Join(int left, int right, int merged)
        {
            Id[left] = merged;
            Next[left] = Next[right];
            if (Next[left] >= 0)
                Previous[Next[left]] = left;
            Id[right] = NoSymbol;
            Next[right] = -1;
        }
    }
}
