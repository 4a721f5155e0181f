using System.Globalization;
using System.Text;

namespace Eigengate.ChatTemplates.Syntax;

/// <summary>Python's escape sequences. An unknown one keeps its backslash, as it does in Python.</summary>
internal static class StringEscapes
{
    public static string Decode(ReadOnlySpan<char> body)
    {
        if (!body.Contains('\\'))
            return body.ToString();
        var text = new StringBuilder(body.Length);
        for (int i = 0; i < body.Length; i++)
        {
            if (body[i] != '\\' || i + 1 == body.Length)
            {
                text.Append(body[i]);
                continue;
            }

            i += Escape(body[(i + 1)..], text);
        }

        return text.ToString();
    }

    /// <summary>Appends what the escape behind a backslash stands for; returns the characters consumed.</summary>
    private static int Escape(ReadOnlySpan<char> rest, StringBuilder text)
    {
        char letter = rest[0];
        switch (letter)
        {
            case '\n': return 1;
            case '\\' or '\'' or '"': text.Append(letter); return 1;
            case 'a': text.Append('\a'); return 1;
            case 'b': text.Append('\b'); return 1;
            case 'f': text.Append('\f'); return 1;
            case 'n': text.Append('\n'); return 1;
            case 'r': text.Append('\r'); return 1;
            case 't': text.Append('\t'); return 1;
            case 'v': text.Append('\v'); return 1;
            case 'x' when TryHex(rest[1..], 2, text): return 3;
            case 'u' when TryHex(rest[1..], 4, text): return 5;
            case 'U' when TryHex(rest[1..], 8, text): return 9;
            case >= '0' and <= '7': return Octal(rest, text);
            default: text.Append('\\').Append(letter); return 1;
        }
    }

    private static bool TryHex(ReadOnlySpan<char> digits, int count, StringBuilder text)
    {
        if (digits.Length < count
            || !int.TryParse(digits[..count], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
            || value is < 0 or > 0x10FFFF)
        {
            return false;
        }

        if (value <= 0xFFFF)
            text.Append((char)value);
        else
            text.Append(char.ConvertFromUtf32(value));
        return true;
    }

    private static int Octal(ReadOnlySpan<char> rest, StringBuilder text)
    {
        int length = 0;
        int value = 0;
        while (length < 3 && length < rest.Length && rest[length] is >= '0' and <= '7')
            value = (value * 8) + (rest[length++] - '0');
        text.Append((char)value);
        return length;
    }
}
