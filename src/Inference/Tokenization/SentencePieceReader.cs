using System.Text;

namespace Eigengate.Inference.Tokenization;

/// <summary>
/// Turns a SentencePiece BPE tokenizer.model into tokenizer parts. Control pieces written in a text are recognised; the
/// text after one gets the dummy prefix again unless tokenizer_config.json says <c>legacy: false</c>.
/// </summary>
internal static class SentencePieceReader
{
    private const string Space = "\u2581";

    public static TokenizerParts Read(string file, JsonField config)
    {
        var model = SentencePieceModel.Read(file);
        var decoder = TokenDecoder.SentencePiece(model.ByteFallback, model.RemoveExtraWhitespaces ? int.MaxValue : model.AddDummyPrefix ? 1 : 0);
        var ids = new Dictionary<string, int>();
        for (var id = 0; id < model.Pieces.Count; id++)
        {
            if (!ids.TryAdd(model.Pieces[id].Text, id))
                throw new TokenizerFormatException(file, $"pieces[{id}].piece", $"'{model.Pieces[id].Text}' is there twice");
        }

        var added = model.Pieces
            .Select((piece, id) => (piece, id))
            .Where(p => p.piece.Type is SentencePieceType.Control or SentencePieceType.Unknown)
            .Select(p => new AddedToken(p.id, p.piece.Text, Special: true, Normalized: false, StripLeft: false, StripRight: false))
            .ToList();
        int? bos = model.BosId >= 0 ? model.BosId : null;
        int? eos = model.EosId >= 0 ? model.EosId : null;
        return new TokenizerParts(
            file,
            [.. model.Pieces.Select((piece, id) => (id, Bytes(piece, decoder)))],
            ids,
            added,
            Normalizer(model, everySegment: config["legacy"].Flag(true)),
            static (text, _, pieces) => pieces.Add(text),
            BytePairs(model, ids),
            bos is { } b && config["add_bos_token"].Flag(true) ? [b] : [],
            eos is { } e && config["add_eos_token"].Flag(false) ? [e] : [],
            decoder.StrippedSpaces,
            bos,
            eos);
    }

    private static byte[] Bytes(SentencePiece piece, TokenDecoder decoder) =>
        piece.Type is SentencePieceType.Control or SentencePieceType.Unknown ? Encoding.UTF8.GetBytes(piece.Text) : decoder.Decode(piece.Text);

    private static TextNormalizer Normalizer(SentencePieceModel model, bool everySegment) => (text, first) =>
    {
        if (model.RemoveExtraWhitespaces)
            text = string.Join(' ', text.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        if (text.Length > 0 && model.AddDummyPrefix && (first || everySegment))
            text = " " + text;
        text = text.Replace(" ", Space, StringComparison.Ordinal);

        // At the end, and only there, the written form of a space counts as one.
        return model.RemoveExtraWhitespaces ? text.TrimEnd(Space[0]) : text;
    };

    /// <summary>
    /// SentencePiece joins two neighbours whenever their concatenation is a piece, highest score first. As a table: for
    /// each piece every cut into two symbols, ranked by score, equal scores sharing a rank.
    /// </summary>
    private static BytePairModel BytePairs(SentencePieceModel model, Dictionary<string, int> ids)
    {
        var mergeable = model.Pieces
            .Where(p => p.Type is SentencePieceType.Normal or SentencePieceType.UserDefined)
            .ToDictionary(p => p.Text, p => (Id: ids[p.Text], p.Score));
        var ranks = mergeable.Values.Select(p => p.Score).Distinct().OrderDescending().Select((score, rank) => (score, rank))
            .ToDictionary(s => s.score, s => s.rank);
        var symbols = mergeable.ToDictionary(p => p.Key, p => p.Value.Id);
        // A character may occur in pieces without being one itself: a symbol that only merges know.
        foreach (var rune in mergeable.Keys.SelectMany(piece => piece.EnumerateRunes()).Distinct())
            symbols.TryAdd(rune.ToString(), model.Pieces.Count + symbols.Count);
        var merges = new MergeTable();
        foreach (var (piece, (id, score)) in mergeable)
        {
            for (var cut = 1; cut < piece.Length; cut++)
            {
                if (symbols.TryGetValue(piece[..cut], out var left) && symbols.TryGetValue(piece[cut..], out var right))
                    merges.Add(left, right, ranks[score], id);
            }
        }

        return new BytePairModel(
            ids,
            TokenizerJsonReader.Characters(symbols),
            merges,
            model.ByteFallback ? TokenizerJsonReader.ByteTokens(ids) : null,
            model.UnknownId >= 0 ? model.UnknownId : null,
            FuseUnknown: true,
            Unbreakable: [.. model.Pieces.Where(p => p.Type == SentencePieceType.UserDefined).Select(p => p.Text)]);
    }
}
