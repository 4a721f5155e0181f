using System.Globalization;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// Regular expressions whose meaning is the same in ECMAScript, .NET and Python: literals, escapes, classes, groups,
/// alternation and quantifiers; \d, \w and \s are ASCII, and a dot is anything but a line end. Anchors may stand at the ends
/// of a whole alternative. Everything else is refused by name.
/// </summary>
internal sealed class RegexParser : ExpressionParser
{
    private const int MaxLength = 50_000;

    private static readonly CodePoints Digits = CodePoints.Of(('0', '9'));
    private static readonly CodePoints Word = CodePoints.Of(('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'));
    private static readonly CodePoints Space = CodePoints.Of(" \t\n\r\f\v");
    private static readonly CodePoints Dot = CodePoints.Of("\n\r\u2028\u2029").Complement();

    private RegexParser(string text)
        : base(text)
    {
    }

    /// <summary>The expression for all of a text. Anchors at its ends add nothing.</summary>
    /// <exception cref="ConstraintException">Broken, or a construct that is not offered.</exception>
    public static Expression FullMatch(string pattern) => Expression.AnyOf(Parse(pattern).ConvertAll(a => a.Body));

    /// <summary>The expression for texts that contain a match, as <c>pattern</c> of JSON Schema asks.</summary>
    /// <exception cref="ConstraintException">Broken, or a construct that is not offered.</exception>
    public static Expression Search(string pattern)
    {
        var anything = new Characters(CodePoints.All).Repeated(0, null);
        return Expression.AnyOf(Parse(pattern).ConvertAll(a =>
            Expression.Of(a.FromStart ? Expression.Empty : anything, a.Body, a.ToEnd ? Expression.Empty : anything)));
    }

    private static List<(Expression Body, bool FromStart, bool ToEnd)> Parse(string pattern)
    {
        if (pattern.Length > MaxLength)
            throw new ConstraintException($"the regular expression has {pattern.Length} characters; at most {MaxLength} are read");
        if (pattern.Contains('\0', StringComparison.Ordinal))
            throw new ConstraintException("a regular expression cannot contain NUL");
        var parser = new RegexParser(pattern);
        var alternatives = new List<(Expression, bool, bool)>();
        do
        {
            var fromStart = parser.TryTake("^");
            var body = parser.ReadSequence();
            alternatives.Add((body, fromStart, parser.TryTake("$")));
        }
        while (parser.TryTake("|"));

        return parser.At == pattern.Length ? alternatives : throw parser.Refused(parser.Peek() == ')' ? "an unmatched )" : $"'{parser.Peek()}' inside, which is an anchor there,");
    }

    protected override Expression ReadSequence()
    {
        var parts = new List<Expression>();
        while (At < Text.Length && Peek() is not ('|' or ')' or '$'))
            parts.Add(ReadQuantified());
        return Expression.Of(parts);
    }

    private Expression ReadQuantified()
    {
        var atom = ReadAtom();
        if (At == Text.Length || ReadQuantifier() is not { } count)
            return atom;
        if (At < Text.Length && Peek() == '+')
            throw Refused("a possessive quantifier");
        // A lazy quantifier matches the same texts.
        TryTake("?");
        if (At < Text.Length && Peek() is '*' or '+' or '?')
            throw Refused("a quantifier of a quantifier");
        return atom.Repeated(count.Least, count.Most);
    }

    private (int Least, int? Most)? ReadQuantifier()
    {
        switch (Peek())
        {
            case '*':
                At++;
                return (0, null);
            case '+':
                At++;
                return (1, null);
            case '?':
                At++;
                return (0, 1);
            case '{':
                At++;
                var least = ReadNumber() ?? throw Refused("a { that begins no quantifier (write \\{)");
                var most = !TryTake(",") ? least : ReadNumber();
                if (!TryTake("}") || most < least)
                    throw Refused("a broken quantifier {m,n}");
                return (least, most);
            default:
                return null;
        }
    }

    private int? ReadNumber()
    {
        var start = At;
        while (At < Text.Length && char.IsAsciiDigit(Text[At]))
            At++;
        return start == At ? null
            : int.TryParse(Text.AsSpan(start, At - start), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : throw Refused("a repetition count that is too large");
    }

    private Expression ReadAtom()
    {
        switch (Peek())
        {
            case '(':
                At++;
                ReadGroupKind();
                var group = ReadAlternatives();
                return TryTake(")") ? group : throw Refused(At < Text.Length ? "an anchor inside a group" : "a group that is not closed");
            case '[':
                At++;
                return new Characters(ReadClass());
            case '.':
                At++;
                return new Characters(Dot);
            case '\\':
                At++;
                return ReadEscape(inClass: false) is { Set: { } set } ? new Characters(set) : throw Refused("a broken escape");
            case '^':
                throw Refused("an anchor ^ inside");
            case '*' or '+' or '?':
                throw Refused($"a quantifier '{Peek()}' of nothing");
            case '{':
                throw Refused("a { that repeats nothing (write \\{)");
            default:
                return Expression.Text(char.ConvertFromUtf32(ReadCodePoint()));
        }
    }

    private void ReadGroupKind()
    {
        if (!TryTake("?"))
            return;
        if (TryTake(":"))
            return;
        var kind = At < Text.Length ? Peek() : '\0';
        var named = kind == '<' || kind == 'P';
        if (kind is '=' or '!' || (kind == '<' && At + 1 < Text.Length && Text[At + 1] is '=' or '!'))
            throw Refused($"a {(kind == '<' ? "lookbehind" : "lookahead")} (?{Text.AsSpan(At, kind == '<' ? 2 : 1)}");
        var end = named ? Text.IndexOf('>', At) : -1;
        var name = end < 0 ? "" : Text[(At + (kind == 'P' ? 2 : 1))..end];
        if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
            throw Refused($"a group (?{kind}…");
        At = end + 1;
    }

    private CodePoints ReadClass()
    {
        var negated = TryTake("^");
        var ranges = new List<(int, int)>();
        for (var first = true; ; first = false)
        {
            if (At == Text.Length)
                throw Refused("a class that is not closed");
            if (Peek() == ']')
            {
                At++;
                if (first && !negated)
                    throw Refused("an empty class []");
                var set = CodePoints.Of(ranges);
                return negated ? set.Complement() : set;
            }

            if (!first && Peek() == '-' && At + 1 < Text.Length && Text[At + 1] == '[')
                throw Refused("a class subtraction -[ (escape the [ if it is meant literally)");

            if (Peek() == '[' && At + 1 < Text.Length && Text[At + 1] is ':' or '.' or '=')
                throw Refused("a POSIX class [:…:]");
            ranges.AddRange(ReadRange().Ranges);
        }
    }

    private CodePoints ReadRange()
    {
        var low = ReadClassAtom();
        if (At + 1 >= Text.Length || Peek() != '-' || Text[At + 1] == ']')
            return low.Set;
        if (Text[At + 1] == '[')
            throw Refused("a class subtraction -[");
        At++;
        var high = ReadClassAtom();
        if (low.Single is not { } first || high.Single is not { } last)
            throw Refused("a class escape as the end of a range");
        return first <= last ? CodePoints.Of((first, last)) : throw Refused("a range whose ends are in the wrong order");
    }

    private (CodePoints Set, int? Single) ReadClassAtom()
    {
        if (TryTake("\\"))
            return ReadEscape(inClass: true);
        var value = ReadCodePoint();
        return (CodePoints.Of((value, value)), value);
    }

    /// <summary>After the backslash: a set, and the character where it is one.</summary>
    private (CodePoints Set, int? Single) ReadEscape(bool inClass)
    {
        if (At == Text.Length)
            throw Refused("a backslash at the end");
        var letter = Text[At++];
        CodePoints? set = letter switch
        {
            'd' => Digits,
            'D' => Digits.Complement(),
            'w' => Word,
            'W' => Word.Complement(),
            's' => Space,
            'S' => Space.Complement(),
            _ => null,
        };
        if (set is not null)
            return (set, null);
        var value = letter switch
        {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\f',
            'v' => '\v',
            'b' when inClass => '\b',
            'x' => ReadHex(2),
            'u' => ReadUnicode(),
            >= '1' and <= '9' or 'k' => throw Refused($"a backreference \\{letter}"),
            'b' or 'B' => throw Refused($"a word boundary \\{letter}"),
            'p' or 'P' => throw Refused($"a Unicode property \\{letter}"),
            _ when char.IsAsciiLetterOrDigit(letter) || letter >= 0x80 => throw Refused($"an unknown escape \\{letter}"),
            _ => letter,
        };
        return (CodePoints.Of((value, value)), value);
    }

    private int ReadUnicode()
    {
        var value = ReadHex(4);
        if (value is >= 0xD800 and <= 0xDBFF && TryTake("\\") && TryTake("u") && ReadHex(4) is >= 0xDC00 and <= 0xDFFF and var low)
            return char.ConvertToUtf32((char)value, (char)low);
        return value is < 0xD800 or > 0xDFFF ? value : throw Refused("half of a surrogate pair");
    }

    private int ReadHex(int digits)
    {
        if (At + digits > Text.Length || !int.TryParse(Text.AsSpan(At, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            throw Refused($"an escape without its {digits} hexadecimal digits");
        At += digits;
        return value;
    }

    protected override ConstraintException Refused(string what) => new($"the regular expression has {what} at position {At}");
}
