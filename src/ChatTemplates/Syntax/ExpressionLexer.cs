using System.Globalization;
using System.Numerics;

namespace Eigengate.ChatTemplates.Syntax;

/// <summary>Reads the tokens between two delimiters and keeps count of open brackets.</summary>
internal sealed class ExpressionLexer(string source, SourceMap map, int offset)
{
    private static readonly string[] Operators =
    [
        "**", "//", "==", "!=", ">=", "<=",
        "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",",
    ];

    private readonly Stack<char> _open = new();
    private bool _afterDot;

    public int Offset { get; private set; } = offset;

    public bool InsideBrackets => _open.Count > 0;

    /// <summary>The token that starts at <paramref name="start"/>, which is not blank.</summary>
    public Token Next(int start)
    {
        Offset = start;
        char first = source[start];
        Token token = first switch
        {
            '\'' or '"' => ReadString(first),
            >= '0' and <= '9' => ReadNumber(),
            _ when char.IsLetter(first) || first == '_' => ReadName(),
            _ => ReadOperator(),
        };
        _afterDot = token.IsOperator(".");
        return token;
    }

    private Token ReadName()
    {
        int start = Offset;
        while (Offset < source.Length && (char.IsLetterOrDigit(source[Offset]) || source[Offset] == '_'))
            Offset++;
        return new Token(TokenKind.Name, source[start..Offset], map.At(start));
    }

    private Token ReadString(char quote)
    {
        int start = Offset;
        int end = start + 1;
        while (end < source.Length && source[end] != quote)
            end += source[end] == '\\' ? 2 : 1;
        if (end >= source.Length)
            throw Error($"this string is never closed, expected {quote}", start);
        Offset = end + 1;
        return new Token(TokenKind.String, StringEscapes.Decode(source.AsSpan(start + 1, end - start - 1)), map.At(start));
    }

    private Token ReadNumber()
    {
        int start = Offset;
        if (source[start] == '0' && start + 1 < source.Length && char.ToLowerInvariant(source[start + 1]) is 'x' or 'o' or 'b')
            return ReadPrefixed(start);
        SkipDigits();
        bool real = false;
        if (!_afterDot && DigitAt(Offset + 1) && source[Offset] == '.')
        {
            real = true;
            Offset++;
            SkipDigits();
        }

        if (!_afterDot && Offset < source.Length && source[Offset] is 'e' or 'E')
        {
            int exponent = Offset + 1 < source.Length && source[Offset + 1] is '+' or '-' ? Offset + 2 : Offset + 1;
            if (DigitAt(exponent))
            {
                real = true;
                Offset = exponent;
                SkipDigits();
            }
        }

        string digits = source[start..Offset].Replace("_", "", StringComparison.Ordinal);
        object value = real ? (object)double.Parse(digits, CultureInfo.InvariantCulture)
            : long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long integer) ? integer
            : throw Error("this integer does not fit in 64 bits", start);
        return new Token(TokenKind.Number, source[start..Offset], map.At(start), value);
    }

    private Token ReadPrefixed(int start)
    {
        int radix = char.ToLowerInvariant(source[start + 1]) switch { 'x' => 16, 'o' => 8, _ => 2 };
        Offset = start + 2;
        BigInteger value = 0;
        while (Offset < source.Length && (char.IsAsciiHexDigit(source[Offset]) || source[Offset] == '_'))
        {
            if (source[Offset] != '_')
            {
                int digit = Convert.ToInt32(source[Offset].ToString(), 16);
                if (digit >= radix || value > long.MaxValue)
                    throw Error($"this is not a 64-bit integer in base {radix}", start);
                value = (value * radix) + digit;
            }

            Offset++;
        }

        if (Offset == start + 2 || value > long.MaxValue)
            throw Error($"this is not a 64-bit integer in base {radix}", start);
        return new Token(TokenKind.Number, source[start..Offset], map.At(start), (long)value);
    }

    private void SkipDigits()
    {
        while (DigitAt(Offset) || (Offset < source.Length && source[Offset] == '_' && DigitAt(Offset + 1)))
            Offset++;
    }

    private bool DigitAt(int offset) => offset < source.Length && char.IsAsciiDigit(source[offset]);

    private Token ReadOperator()
    {
        int start = Offset;
        foreach (string text in Operators)
        {
            if (!source.AsSpan(start).StartsWith(text, StringComparison.Ordinal))
                continue;
            Offset += text.Length;
            Balance(text[0], start);
            return new Token(TokenKind.Operator, text, map.At(start));
        }

        throw Error($"unexpected character '{source[start]}'", start);
    }

    private void Balance(char bracket, int start)
    {
        switch (bracket)
        {
            case '(': _open.Push(')'); break;
            case '[': _open.Push(']'); break;
            case '{': _open.Push('}'); break;
            case ')' or ']' or '}':
                if (!_open.TryPop(out char expected))
                    throw Error($"unexpected '{bracket}'", start);
                if (expected != bracket)
                    throw Error($"unexpected '{bracket}', expected '{expected}'", start);
                break;
        }
    }

    private ChatTemplateException Error(string message, int start)
    {
        Position position = map.At(start);
        return new ChatTemplateException(message, position.Line, position.Column);
    }
}
