using System.Text;

namespace Eigengate.Inference.Tokenization;

/// <summary>
/// Reads tokenizer.json: byte-pair models, byte-level or SentencePiece-like. Truncation and padding are ignored because
/// the server has its own rules; anything else that is not supported is refused by name.
/// </summary>
internal static class TokenizerJsonReader
{
    public static TokenizerParts Read(string file)
    {
        var root = JsonField.ReadFile(file);
        var model = root["model"];
        if ((model["type"].TextOrNull() ?? "BPE") != "BPE")
            throw model["type"].Error($"model {model["type"].Text()} is not supported, only BPE is");
        var pieces = new Dictionary<string, int>();
        foreach (var (piece, id) in model["vocab"].Members())
            pieces[piece] = id.TokenId();
        if (pieces.Count == 0)
            throw model["vocab"].Error("is empty");
        var added = ReadAddedTokens(root["added_tokens"]);
        var tokenIds = new Dictionary<string, int>(pieces);
        foreach (var token in added)
            tokenIds[token.Content] = token.Id;
        var decoder = TokenDecoder.Read(root["decoder"]);
        var bytes = new Dictionary<int, byte[]>();
        foreach (var (piece, id) in pieces)
            bytes[id] = decoder.Decode(piece);
        foreach (var token in added)
            bytes[token.Id] = decoder.Decode(token.Content);
        var (prefix, suffix) = PostProcessorReader.Read(root["post_processor"]);
        return new TokenizerParts(
            file,
            [.. bytes.Select(b => (b.Key, b.Value))],
            tokenIds,
            added,
            NormalizerReader.Read(root["normalizer"]),
            PreTokenizerReader.Read(root["pre_tokenizer"]),
            ReadModel(model, pieces),
            prefix,
            suffix,
            decoder.StrippedSpaces);
    }

    private static List<AddedToken> ReadAddedTokens(JsonField field)
    {
        var tokens = new List<AddedToken>();
        foreach (var token in field.Items())
        {
            if (token["single_word"].Flag(false))
                throw token["single_word"].Error("added tokens that match whole words only are not supported");
            var id = token["id"].TokenId();
            var special = token["special"].Flag(false);
            tokens.Add(new AddedToken(
                id,
                token["content"].Text(),
                special,
                token["normalized"].Flag(!special),
                token["lstrip"].Flag(false),
                token["rstrip"].Flag(false)));
        }

        return tokens;
    }

    private static BytePairModel ReadModel(JsonField model, Dictionary<string, int> pieces)
    {
        RefuseUnlessEmpty(model["continuing_subword_prefix"]);
        RefuseUnlessEmpty(model["end_of_word_suffix"]);
        if (!model["dropout"].IsAbsent)
            throw model["dropout"].Error("is not supported");
        int? unknown = null;
        if (model["unk_token"].TextOrNull() is { } text)
            unknown = pieces.TryGetValue(text, out var id) ? id : throw model["unk_token"].Error($"'{text}' is not in the vocabulary");
        return new BytePairModel(
            pieces,
            Characters(pieces),
            ReadMerges(model["merges"], pieces),
            model["byte_fallback"].Flag(false) ? ByteTokens(pieces) : null,
            unknown,
            FuseUnknown: model["fuse_unk"].Flag(false),
            WholePiecesFirst: model["ignore_merges"].Flag(false));
    }

    /// <summary>Symbols of single code points.</summary>
    internal static Dictionary<int, int> Characters(IReadOnlyDictionary<string, int> pieces)
    {
        var characters = new Dictionary<int, int>();
        foreach (var (piece, id) in pieces)
        {
            if (Rune.DecodeFromUtf16(piece, out var rune, out var length) == System.Buffers.OperationStatus.Done && length == piece.Length)
                characters[rune.Value] = id;
        }

        return characters;
    }

    /// <summary>Ids of the 256 byte pieces; null unless all are there.</summary>
    internal static int[]? ByteTokens(IReadOnlyDictionary<string, int> pieces)
    {
        var ids = new int[256];
        for (var value = 0; value < ids.Length; value++)
        {
            if (!pieces.TryGetValue($"<0x{value:X2}>", out ids[value]))
                return null;
        }

        return ids;
    }

    private static MergeTable ReadMerges(JsonField field, Dictionary<string, int> pieces)
    {
        var merges = new MergeTable();
        var rank = 0;
        foreach (var item in field.Items())
        {
            var (left, right) = ReadPair(item);
            merges.Add(Id(left), Id(right), rank++, Id(left + right));

            int Id(string piece) => pieces.TryGetValue(piece, out var id) ? id : throw item.Error($"'{piece}' is not in the vocabulary");
        }

        return merges;
    }

    private static (string Left, string Right) ReadPair(JsonField item)
    {
        var parts = item.Value.ValueKind == System.Text.Json.JsonValueKind.Array
            ? [.. item.Items().Select(part => part.Text())]
            : item.Text().Split(' ');
        return parts.Length == 2 ? (parts[0], parts[1]) : throw item.Error("is not a pair of pieces");
    }

    private static void RefuseUnlessEmpty(JsonField field)
    {
        if (!string.IsNullOrEmpty(field.TextOrNull()))
            throw field.Error("is not supported");
    }
}
