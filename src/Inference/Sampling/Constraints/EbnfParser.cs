using System.Globalization;
using System.Text;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// Grammars in the EBNF of llama.cpp (GBNF) and XGrammar: rules <c>name ::= …</c>, the first to apply is <c>root</c>;
/// literals, character classes, dots, groups, alternatives, <c>* + ? {m} {m,} {m,n}</c>, and comments from # to the end of
/// the line. A rule ends where the next begins. Errors name line and column.
/// </summary>
internal sealed class EbnfParser : ExpressionParser
{
    private const int MaxLength = 200_000;

    private readonly Dictionary<string, Rule> _rules = [];
    private readonly Dictionary<string, int> _firstUses = [];

    private EbnfParser(string text)
        : base(text)
    {
    }

    /// <summary>The expression for all texts of the rule root.</summary>
    /// <exception cref="ConstraintException">Broken, or a construct that is not offered.</exception>
    public static Expression Parse(string grammar)
    {
        if (grammar.Length > MaxLength)
            throw new ConstraintException($"the grammar has {grammar.Length} characters; at most {MaxLength} are read");
        return new EbnfParser(grammar).ReadRules();
    }

    private Reference ReadRules()
    {
        for (SkipSpace(); At < Text.Length; SkipSpace())
            ReadRule();
        var missing = _firstUses.Where(use => _rules[use.Key].Body is null).OrderBy(use => use.Value).Select(use => use.Key).FirstOrDefault();
        if (missing is not null)
            throw Refused($"the rule '{missing}' is used but not defined", _firstUses[missing]);
        return _rules.TryGetValue("root", out var root) && root.Body is not null ? new Reference(root)
            : throw new ConstraintException("the grammar has no rule 'root' (root ::= …), where every text begins");
    }

    private void ReadRule()
    {
        var start = At;
        var name = ReadName() ?? throw Refused($"expected a rule (name ::= …), found {Found()}");
        SkipSpace();
        if (!TryTake("::="))
            throw Refused($"expected '::=' after the rule name '{name}', found {Found()}");
        var rule = RuleOf(name);
        if (rule.Body is not null)
            throw Refused($"the rule '{name}' is defined twice", start);
        rule.Body = LeftRecursion.Removed(rule, ReadAlternatives());
        if (At < Text.Length && Peek() == ')')
            throw Refused("a ) that closes nothing");
    }

    protected override Expression ReadSequence()
    {
        var parts = new List<Expression>();
        for (SkipSpace(); At < Text.Length && Peek() is not ('|' or ')') && !RuleBegins(); SkipSpace())
            parts.Add(ReadQuantified());
        return Expression.Of(parts);
    }

    private Expression ReadQuantified()
    {
        var item = ReadItem();
        for (var times = 0; ; times++)
        {
            SkipSpace();
            var start = At;
            if (ReadQuantifier() is not { } count)
                return item;
            if (times == MaxDepth)
                throw Refused($"more than {MaxDepth} quantifiers of one item", start);
            item = item.Repeated(count.Least, count.Most);
        }
    }

    private (int Least, int? Most)? ReadQuantifier()
    {
        if (TryTake("*"))
            return (0, null);
        if (TryTake("+"))
            return (1, null);
        if (TryTake("?"))
            return (0, 1);
        var start = At;
        if (!TryTake("{"))
            return null;
        var least = ReadCount();
        var most = TryTake(",") ? ReadCount() : least;
        SkipSpace();
        return TryTake("}") && least is not null && !(most < least) ? (least.Value, most) : throw Refused("a broken quantifier {m,n}", start);
    }

    private int? ReadCount()
    {
        SkipSpace();
        var start = At;
        while (At < Text.Length && char.IsAsciiDigit(Text[At]))
            At++;
        return start == At ? null
            : int.TryParse(Text.AsSpan(start, At - start), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count
            : throw Refused("a repetition count that is too large", start);
    }

    private Expression ReadItem()
    {
        var start = At;
        if (ReadName() is { } name)
        {
            _firstUses.TryAdd(name, start);
            return new Reference(RuleOf(name));
        }

        switch (Peek())
        {
            case '"' or '\'':
                return ReadLiteral();
            case '[':
                return new Characters(ReadClass());
            case '.':
                At++;
                return new Characters(CodePoints.All);
            case '(':
                At++;
                if (TryTake("=") || TryTake("!"))
                    throw Refused("a lookahead cannot be enforced", start);
                var group = ReadAlternatives();
                return TryTake(")") ? group : throw Refused("a group ( that is not closed", start);
            default:
                throw Refused($"expected a literal, a class, a group or a rule name, found {Found()}");
        }
    }

    private Expression ReadLiteral()
    {
        var start = At;
        var quote = Text[At++];
        var literal = new StringBuilder();
        while (At < Text.Length && Peek() is var next && next != quote)
        {
            if (next is '\n' or '\r')
                break;
            literal.Append(char.ConvertFromUtf32(ReadCharacter()));
        }

        return TryTake(quote.ToString()) ? Expression.Text(literal.ToString()) : throw Refused("a literal that is not closed on its line", start);
    }

    private CodePoints ReadClass()
    {
        var start = At++;
        var negated = TryTake("^");
        var ranges = new List<(int, int)>();
        while (At < Text.Length && Peek() is not (']' or '\n' or '\r'))
        {
            var at = At;
            var first = ReadCharacter();
            var last = first;
            // A minus before the end of the class is itself.
            if (At + 1 < Text.Length && Peek() == '-' && Text[At + 1] != ']')
            {
                At++;
                last = ReadCharacter();
            }

            if (last < first)
                throw Refused("a range whose ends are in the wrong order", at);
            ranges.Add((first, last));
        }

        if (!TryTake("]"))
            throw Refused("a class [ that is not closed on its line", start);
        var set = CodePoints.Of(ranges);
        return negated ? set.Complement() : ranges.Count > 0 ? set : throw Refused("an empty class []", start);
    }

    private int ReadCharacter() => Peek() == '\\' ? ReadEscape() : ReadCodePoint();

    private int ReadEscape()
    {
        var start = At++;
        if (At == Text.Length)
            throw Refused("a backslash at the end", start);
        var letter = Text[At++];
        return letter switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'x' => ReadHex(2, start),
            'u' => ReadHex(4, start),
            'U' => ReadHex(8, start),
            _ when !char.IsAsciiLetterOrDigit(letter) && letter < 0x80 => letter,
            _ => throw Refused($"an unknown escape \\{letter}", start),
        };
    }

    private int ReadHex(int digits, int start)
    {
        if (At + digits > Text.Length || !uint.TryParse(Text.AsSpan(At, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            throw Refused($"an escape without its {digits} hexadecimal digits", start);
        At += digits;
        return Rune.IsValid(value) ? (int)value : throw Refused("an escape that is no character", start);
    }

    /// <summary>Letters, digits, - and _, beginning with a letter or _; null when there is none.</summary>
    private string? ReadName()
    {
        var start = At;
        if (At == Text.Length || !(char.IsAsciiLetter(Peek()) || Peek() == '_'))
            return null;
        while (At < Text.Length && (char.IsAsciiLetterOrDigit(Peek()) || Peek() is '_' or '-'))
            At++;
        return Text[start..At];
    }

    private bool RuleBegins()
    {
        var start = At;
        var begins = ReadName() is not null;
        if (begins)
            SkipSpace();
        begins &= Text.AsSpan(At).StartsWith("::=");
        At = start;
        return begins;
    }

    private Rule RuleOf(string name)
    {
        if (!_rules.TryGetValue(name, out var rule))
            _rules[name] = rule = new Rule(name);
        return rule;
    }

    private void SkipSpace()
    {
        while (At < Text.Length && (Peek() is ' ' or '\t' or '\n' or '\r' or '#'))
        {
            if (Peek() != '#')
                At++;
            else
                At = Text.IndexOf('\n', At) is >= 0 and var end ? end : Text.Length;
        }
    }

    private string Found() => At == Text.Length ? "the end" : $"'{Peek()}'";

    protected override ConstraintException Refused(string what) => Refused(what, At);

    private ConstraintException Refused(string what, int at)
    {
        var before = Text.AsSpan(0, at);
        var line = before.Count('\n') + 1;
        var column = at - (before.LastIndexOf('\n') + 1) + 1;
        return new ConstraintException(string.Create(CultureInfo.InvariantCulture, $"line {line}, column {column}: {what}"));
    }
}
