using System.Text;

namespace Eigengate.Inference.Tokenization;

/// <summary>
/// The printable alphabet of byte-level vocabularies: bytes that are printable in Latin-1 stand for themselves, the
/// others, in order, are U+0100, U+0101, … (a space is U+0120).
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] ByteToChar = BuildByteToChar();
    private static readonly Dictionary<char, byte> CharToByte =
        ByteToChar.Select((character, value) => (character, value)).ToDictionary(p => p.character, p => (byte)p.value);

    /// <summary>One character per UTF-8 byte of the text.</summary>
    public static string Write(string text) =>
        string.Create(Encoding.UTF8.GetByteCount(text), text, static (characters, source) =>
        {
            Span<byte> small = stackalloc byte[256];
            var bytes = characters.Length <= small.Length ? small[..characters.Length] : new byte[characters.Length];
            Encoding.UTF8.GetBytes(source, bytes);
            for (var i = 0; i < bytes.Length; i++)
                characters[i] = ByteToChar[bytes[i]];
        });

    /// <summary>The bytes that a vocabulary piece stands for; null when a character is outside the alphabet.</summary>
    public static byte[]? Read(string piece)
    {
        var bytes = new byte[piece.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            if (!CharToByte.TryGetValue(piece[i], out bytes[i]))
                return null;
        }

        return bytes;
    }

    private static char[] BuildByteToChar()
    {
        var map = new char[256];
        var next = (char)256;
        for (var value = 0; value < map.Length; value++)
        {
            var printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            map[value] = printable ? (char)value : next++;
        }

        return map;
    }
}
