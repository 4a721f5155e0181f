using System.Buffers;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Syntax;

/// <summary>
/// Splits a template into text, expressions and tags. Comments vanish here, raw blocks become text, and all whitespace
/// control happens here: <c>-</c> strips, <c>+</c> keeps, otherwise blanks before a tag that starts its line and one
/// newline after a tag are dropped.
/// </summary>
internal sealed class TemplateLexer
{
    private static readonly SearchValues<string> Openings = SearchValues.Create(["{{", "{%", "{#"], StringComparison.Ordinal);

    private readonly string _source;
    private readonly SourceMap _map;
    private readonly List<Token> _tokens = [];
    private int _offset;
    private bool _atLineStart = true;

    private TemplateLexer(string source)
    {
        _source = source;
        _map = new SourceMap(source);
    }

    public static IReadOnlyList<Token> Tokenize(string source)
    {
        string normalised = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        if (normalised.EndsWith('\n'))
            normalised = normalised[..^1];
        var lexer = new TemplateLexer(normalised);
        lexer.Run();
        return lexer._tokens;
    }

    private void Run()
    {
        while (_offset < _source.Length)
        {
            int found = _source.AsSpan(_offset).IndexOfAny(Openings);
            if (found < 0)
            {
                AddText(_source[_offset..], _offset);
                break;
            }

            Open(_offset + found);
        }

        _tokens.Add(new Token(TokenKind.End, "", _map.At(_source.Length)));
    }

    private void Open(int at)
    {
        char kind = _source[at + 1];
        int inside = at + 2;
        char sign = inside < _source.Length && _source[inside] is '-' or '+' ? _source[inside++] : ' ';
        AddText(BeforeTag(_source[_offset..at], sign, isExpression: kind == '{'), _offset);
        _atLineStart = false;
        switch (kind)
        {
            case '#':
                int end = _source.IndexOf("#}", inside, StringComparison.Ordinal);
                if (end < 0)
                    throw Error("this comment is never closed, expected '#}'", at);
                AfterTag(end + 2, end > inside ? _source[end - 1] : ' ');
                break;
            case '%' when TryRaw(inside, at):
                break;
            default:
                Inside(at, inside, kind == '{');
                break;
        }
    }

    private string BeforeTag(string text, char sign, bool isExpression)
    {
        if (sign == '-')
            return PythonText.TrimEnd(text);
        if (sign == '+' || isExpression)
            return text;
        int lineStart = text.LastIndexOf('\n') + 1;
        bool startsLine = lineStart > 0 || _atLineStart;
        return startsLine && PythonText.IsBlank(text.AsSpan(lineStart)) ? text[..lineStart] : text;
    }

    /// <summary>Moves past a closing delimiter that ends at <paramref name="offset"/>.</summary>
    private void AfterTag(int offset, char sign)
    {
        int start = offset;
        if (sign == '-')
        {
            while (offset < _source.Length && PythonText.IsSpace(_source[offset]))
                offset++;
        }
        else if (sign != '+' && offset < _source.Length && _source[offset] == '\n')
        {
            offset++;
        }

        _atLineStart = offset > start && _source[offset - 1] == '\n';
        _offset = offset;
    }

    private bool TryRaw(int inside, int at)
    {
        int scan = inside;
        if (!TryKeyword(ref scan, "raw", out char sign) || sign == '+')
            return false;
        // A plain raw tag keeps the newline behind it, unlike every other tag.
        AfterTag(scan, sign == '-' ? '-' : '+');
        int contentStart = _offset;
        for (int from = contentStart; ; from++)
        {
            from = _source.IndexOf("{%", from, StringComparison.Ordinal);
            if (from < 0)
                throw Error("this raw block is never closed, expected '{% endraw %}'", at);
            int end = from + 2;
            char opening = end < _source.Length && _source[end] is '-' or '+' ? _source[end++] : ' ';
            if (!TryKeyword(ref end, "endraw", out char closing))
                continue;
            AddText(BeforeTag(_source[contentStart..from], opening, isExpression: false), contentStart);
            AfterTag(end, closing);
            return true;
        }
    }

    private bool TryKeyword(ref int offset, string keyword, out char sign)
    {
        int scan = SkipSpace(offset);
        sign = ' ';
        if (!_source.AsSpan(scan).StartsWith(keyword, StringComparison.Ordinal))
            return false;
        scan = SkipSpace(scan + keyword.Length);
        if (scan < _source.Length && _source[scan] is '-' or '+')
            sign = _source[scan++];
        if (!_source.AsSpan(scan).StartsWith("%}", StringComparison.Ordinal))
            return false;
        offset = scan + 2;
        return true;
    }

    private void Inside(int at, int inside, bool isExpression)
    {
        _tokens.Add(new Token(isExpression ? TokenKind.ExpressionBegin : TokenKind.TagBegin, "", _map.At(at)));
        string close = isExpression ? "}}" : "%}";
        var lexer = new ExpressionLexer(_source, _map, inside);
        while (true)
        {
            int offset = SkipSpace(lexer.Offset);
            if (offset >= _source.Length)
                throw Error($"this {(isExpression ? "expression" : "tag")} is never closed, expected '{close}'", at);
            bool signed = _source[offset] == '-' || (_source[offset] == '+' && !isExpression);
            int delimiter = signed ? offset + 1 : offset;
            if (!lexer.InsideBrackets && _source.AsSpan(delimiter).StartsWith(close, StringComparison.Ordinal))
            {
                _tokens.Add(new Token(isExpression ? TokenKind.ExpressionEnd : TokenKind.TagEnd, "", _map.At(offset)));
                char sign = signed ? _source[offset] : isExpression ? '+' : ' ';
                AfterTag(delimiter + 2, sign);
                return;
            }

            _tokens.Add(lexer.Next(offset));
        }
    }

    private int SkipSpace(int offset)
    {
        while (offset < _source.Length && PythonText.IsSpace(_source[offset]))
            offset++;
        return offset;
    }

    private void AddText(string text, int offset)
    {
        if (text.Length > 0)
            _tokens.Add(new Token(TokenKind.Text, text, _map.At(offset)));
    }

    private ChatTemplateException Error(string message, int offset)
    {
        Position position = _map.At(offset);
        return new ChatTemplateException(message, position.Line, position.Column);
    }
}
