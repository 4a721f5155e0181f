using System.Globalization;
using System.Text;

namespace Eigengate.Inference.Tokenization;

/// <summary>How pieces of a vocabulary become bytes.</summary>
/// <param name="ByteLevel">Pieces are written in the <see cref="ByteAlphabet"/>.</param>
/// <param name="ByteFallback">Pieces like <c>&lt;0x0A&gt;</c> are single bytes.</param>
/// <param name="Replacements">Texts replaced in each piece, in order.</param>
/// <param name="StrippedSpaces">Number of spaces removed at the start of a whole text.</param>
internal sealed record TokenDecoder(bool ByteLevel, bool ByteFallback, IReadOnlyList<(string From, string To)> Replacements, int StrippedSpaces)
{
    private static readonly (string, string) MetaspaceToSpace = ("\u2581", " ");

    public static TokenDecoder SentencePiece(bool byteFallback, int strippedSpaces) =>
        new(false, byteFallback, [MetaspaceToSpace], strippedSpaces);

    /// <summary>The number N of a piece <c>&lt;0xNN&gt;</c>.</summary>
    public static bool TryReadByte(string piece, out byte value)
    {
        value = 0;
        return piece.Length == 6 && piece.StartsWith("<0x", StringComparison.Ordinal) && piece[5] == '>'
            && byte.TryParse(piece.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>Reads the <c>decoder</c> of tokenizer.json.</summary>
    public static TokenDecoder Read(JsonField field)
    {
        if (field.IsAbsent)
            throw field.Error("a decoder is required");
        var steps = field["type"].Text() == "Sequence" ? field["decoders"].Items() : [field];
        var decoder = new TokenDecoder(false, false, [], 0);
        foreach (var step in steps)
            decoder = decoder.With(step);
        return decoder;
    }

    public byte[] Decode(string piece)
    {
        if (ByteLevel)
            return ByteAlphabet.Read(piece) ?? Encoding.UTF8.GetBytes(piece);
        if (ByteFallback && TryReadByte(piece, out var value))
            return [value];
        foreach (var (from, to) in Replacements)
            piece = piece.Replace(from, to, StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(piece);
    }

    private TokenDecoder With(JsonField step)
    {
        var type = step["type"];
        switch (type.Text())
        {
            case "ByteLevel":
                return this with { ByteLevel = true };
            case "ByteFallback":
                return this with { ByteFallback = true };
            case "Fuse":
                return this;
            case "Replace":
                return this with { Replacements = [.. Replacements, (step["pattern"]["String"].Text(), step["content"].Text())] };
            case "Strip":
                if (step["content"].Text() != " " || step["stop"].Integer() != 0)
                    throw step.Error("only leading spaces can be stripped");
                return this with { StrippedSpaces = step["start"].Integer() };
            case "Metaspace":
                var prefixed = step["prepend_scheme"].TextOrNull() is { } scheme ? scheme != "never" : step["add_prefix_space"].Flag(true);
                var replacement = step["replacement"].TextOrNull() ?? "\u2581";
                return this with { Replacements = [.. Replacements, (replacement, " ")], StrippedSpaces = prefixed ? 1 : 0 };
            default:
                throw type.Error($"decoder {type.Text()} is not supported");
        }
    }
}
