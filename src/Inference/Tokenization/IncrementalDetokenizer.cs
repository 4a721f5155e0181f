using System.Text;

namespace Eigengate.Inference.Tokenization;

/// <summary>
/// Decodes a sequence token by token. A character is given out when its last byte is there; all pieces together,
/// with <see cref="Flush"/>, equal <see cref="Tokenizer.Decode"/> of all ids. Not thread-safe: one per sequence.
/// </summary>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="skipSpecialTokens">Leave special tokens out of the text.</param>
/// <param name="continuesText">The ids continue a prompt, so a leading space belongs to the text and is kept.</param>
public sealed class IncrementalDetokenizer(Tokenizer tokenizer, bool skipSpecialTokens, bool continuesText = false)
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private int _spacesToStrip = continuesText ? 0 : tokenizer.StrippedSpaces;

    /// <summary>The text that this token completes; empty when it ends inside a character.</summary>
    public string Append(int id) => skipSpecialTokens && tokenizer.IsSpecial(id) ? "" : Decode(tokenizer.TokenBytes(id), flush: false);

    /// <summary>U+FFFD for a character left incomplete, else nothing. To be called once, at the end.</summary>
    public string Flush() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        var count = _decoder.GetCharCount(bytes, flush);
        Span<char> small = stackalloc char[64];
        var text = count <= small.Length ? small : new char[count];
        text = text[.._decoder.GetChars(bytes, text, flush)];
        while (_spacesToStrip > 0 && text.Length > 0)
        {
            _spacesToStrip = text[0] == ' ' ? _spacesToStrip - 1 : 0;
            if (text[0] == ' ')
                text = text[1..];
        }

        return text.Length == 0 ? "" : new string(text);
    }
}
