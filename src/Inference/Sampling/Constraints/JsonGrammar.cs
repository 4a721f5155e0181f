using System.Globalization;
using System.Text;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>The parts of JSON (RFC 8259) as expressions, with one kind of white space throughout.</summary>
/// <param name="space">White space between tokens.</param>
internal sealed class JsonGrammar(Expression space)
{
    /// <summary>Containers inside containers: with the outermost one 64 levels, what System.Text.Json reads by default.</summary>
    public const int MaxDepth = 63;

    private static readonly CodePoints MustEscape = CodePoints.Of((0, 0x1F), ('"', '"'), ('\\', '\\'));

    private static readonly CodePoints Blank = CodePoints.Of(" \t\n\r");

    public static readonly Expression AnySpace = new Characters(Blank).Repeated(0, null);

    public static readonly Expression Integer = Pattern("-?(0|[1-9][0-9]*)");
    public static readonly Expression Number = Pattern(@"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+\-]?[0-9]+)?");
    public static readonly Expression Boolean = Expression.AnyOf(Expression.Text("true"), Expression.Text("false"));
    public static readonly Expression Null = Expression.Text("null");

    /// <summary>One code point of a string, plain or escaped; escaped surrogates come in pairs.</summary>
    public static readonly Expression Character = new Reference(new Rule("JSON character")
    {
        Body = Expression.AnyOf(
            Plain,
            Pattern(@"\\([""\\\/bfnrt]|u([0-9abcefABCEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))")),
    });

    public static readonly Expression String = Quoted(Character.Repeated(0, null));

    private Rule? _value;

    public Expression Space => space;

    private static Expression Plain => new Characters(MustEscape.Complement());

    /// <summary>Any value.</summary>
    public Expression Value
    {
        get
        {
            if (_value is null)
            {
                _value = new Rule("JSON value");
                _value.Body = Expression.AnyOf(String, Number, Boolean, Null, AnyObject, Array([], new Reference(_value), 0, null));
            }

            return new Reference(_value);
        }
    }

    public Expression AnyObject => Object([], String, Value);

    /// <summary>White space of one's own.</summary>
    /// <exception cref="ConstraintException">It would allow more than JSON's white space.</exception>
    public static Expression SpaceFrom(string pattern)
    {
        var space = RegexParser.FullMatch(pattern);
        return IsSpace(space) ? space : throw new ConstraintException("the white space pattern may only match spaces, tabs and line ends");
    }

    public static Expression Quoted(Expression content) => Expression.Of(Expression.Text("\""), content, Expression.Text("\""));

    /// <summary>An array of <paramref name="least"/> to <paramref name="most"/> items.</summary>
    /// <param name="first">The first items, as many of them as there are.</param>
    /// <param name="item">Each item after these.</param>
    /// <param name="least">Fewest items.</param>
    /// <param name="most">Most items, or null for any number.</param>
    public Expression Array(IReadOnlyList<Expression> first, Expression item, int least, int? most)
    {
        var comma = Token(",");
        Expression Following(Expression value) => Expression.Of(comma, Inside(value));
        // Back to front: what may come after so many items.
        var given = Math.Max(1, Math.Min(first.Count, most ?? int.MaxValue));
        var rest = most <= given ? Expression.Empty : Following(item).Repeated(Math.Max(0, least - given), most - given);
        for (var i = given - 1; i > 0; i--)
        {
            rest = new Reference(new Rule("items") { Body = Expression.Of(Following(first[i]), rest) });
            if (least <= i)
                rest = rest.Optional();
        }

        var items = Expression.Of(Inside(first.Count > 0 ? first[0] : item), rest);
        var body = most == 0 ? Expression.Empty : least == 0 ? items.Optional() : items;
        return Expression.Of(Expression.Text("["), space, body, Token("]", trailing: false));
    }

    /// <summary>An object with these properties in this order, then any number of others.</summary>
    /// <param name="properties">Key as written with its quotes, value, and whether it must be present.</param>
    /// <param name="otherKey">With its quotes; null when no others may follow.</param>
    /// <param name="otherValue">The value of each other property.</param>
    public Expression Object(IReadOnlyList<(Expression Key, Expression Value, bool Required)> properties, Expression? otherKey, Expression? otherValue)
    {
        var comma = Token(",");
        Expression Member(Expression key, Expression value) => Expression.Of(key, Token(":"), Inside(value));
        // Back to front. From here: at least one of the remaining properties. None: whether that many may be missing.
        var from = Expression.AnyOf();
        var none = true;
        if (otherKey is not null && otherValue is not null)
        {
            var other = Member(otherKey, otherValue);
            from = Expression.Of(other, Expression.Of(comma, other).Repeated(0, null));
        }

        for (var i = properties.Count - 1; i >= 0; i--)
        {
            var (key, value, required) = properties[i];
            var after = new Reference(new Rule("properties") { Body = from });
            var more = Expression.Of(comma, after);
            var member = Expression.Of(Member(key, value), none ? more.Optional() : more);
            from = required ? member : Expression.AnyOf(member, after);
            none &= !required;
        }

        return Expression.Of(Expression.Text("{"), space, none ? from.Optional() : from, Token("}", trailing: false));
    }

    /// <summary>The content of a string (without quotes), characters escaped where they must be.</summary>
    public static string Escape(string text)
    {
        var escaped = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
            escaped.Append(EscapeOf(rune.Value) ?? rune.ToString());
        return escaped.ToString();
    }

    /// <summary>An expression over characters as one over how they are written in a JSON string.</summary>
    public static Expression Escaped(Expression text) => text switch
    {
        Literal literal => Expression.Text(Escape(Encoding.UTF8.GetString(literal.Bytes))),
        Characters characters => Escaped(characters.Set),
        Sequence sequence => new Sequence([.. sequence.Parts.Select(Escaped)]),
        Alternatives alternatives => new Alternatives([.. alternatives.Options.Select(Escaped)]),
        Repetition repetition => repetition with { Body = Escaped(repetition.Body) },
        _ => throw new ArgumentException("only regular expressions can be escaped", nameof(text)),
    };

    /// <summary>Quoted keys without escapes, other than these.</summary>
    public static Expression KeysOtherThan(IReadOnlyCollection<string> names) => Quoted(NotOneOf([.. names], 0));

    private static Expression NotOneOf(string[] names, int at)
    {
        // At a node of the trie: end here, go on with a character no name has here, or follow one.
        var plain = MustEscape.Complement();
        var children = names.Where(n => n.Length > at).GroupBy(n => char.ConvertToUtf32(n, at)).ToList();
        var others = plain.Except(CodePoints.Of(children.Select(c => (c.Key, c.Key))));
        var options = new List<Expression> { Expression.Of(new Characters(others), new Characters(plain).Repeated(0, null)) };
        if (!names.Any(n => n.Length == at))
            options.Add(Expression.Empty);
        foreach (var child in children)
        {
            var width = char.ConvertFromUtf32(child.Key).Length;
            // A character that must be escaped cannot be written here at all.
            if (!plain.Intersect(CodePoints.Of((child.Key, child.Key))).IsEmpty)
                options.Add(Expression.Of(Expression.Text(char.ConvertFromUtf32(child.Key)), NotOneOf([.. child], at + width)));
        }

        return Expression.AnyOf(options);
    }

    private static Expression Escaped(CodePoints set)
    {
        var options = new List<Expression> { new Characters(set.Except(MustEscape)) };
        foreach (var (first, last) in set.Intersect(MustEscape).Ranges)
        {
            for (var value = first; value <= last; value++)
                options.Add(Expression.Text(EscapeOf(value)!));
        }

        return Expression.AnyOf(options);
    }

    private static string? EscapeOf(int value) => value switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\b' => "\\b",
        '\f' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        < 0x20 => string.Create(CultureInfo.InvariantCulture, $"\\u{value:X4}"),
        _ => null,
    };

    private static bool IsSpace(Expression expression) => expression switch
    {
        Literal literal => literal.Bytes.All(b => b is (byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r'),
        Characters characters => characters.Set.Except(Blank).IsEmpty,
        Sequence sequence => sequence.Parts.All(IsSpace),
        Alternatives alternatives => alternatives.Options.All(IsSpace),
        Repetition repetition => IsSpace(repetition.Body),
        _ => false,
    };

    private static Expression Pattern(string pattern) => RegexParser.FullMatch(pattern);

    // A value inside a container is one level deeper.
    private static Reference Inside(Expression value) => new Reference(new Rule("nested value") { Body = value }, Nests: true);

    private Expression Token(string text, bool trailing = true) =>
        trailing ? Expression.Of(space, Expression.Text(text), space) : Expression.Of(space, Expression.Text(text));
}
