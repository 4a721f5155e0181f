using System.Text;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>A right-hand side of a context-free grammar over text: what regular expressions, schemas and grammars are read into.</summary>
internal abstract record Expression
{
    private const int MaxSharing = 100;

    public static readonly Expression Empty = new Sequence([]);

    public static Expression Text(string text) => new Literal(Encoding.UTF8.GetBytes(text));

    public static Expression Of(params IReadOnlyList<Expression> parts) => parts.Count == 1 ? parts[0] : new Sequence(parts);

    public static Expression AnyOf(params IReadOnlyList<Expression> options) => options.Count == 1 ? options[0] : new Alternatives(options);

    /// <summary>Exactly one of these texts. Texts that begin alike share their beginnings, so that following many of them is cheap.</summary>
    public static Expression AnyText(IEnumerable<string> texts) =>
        Shared([.. texts.Distinct(StringComparer.Ordinal).Select(Encoding.UTF8.GetBytes).Order(Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)))], 0, 0);

    public Expression Repeated(int least, int? most) => new Repetition(this, least, most);

    public Expression Optional() => Repeated(0, 1);

    /// <param name="texts">Sorted, distinct, and equal up to a place.</param>
    /// <param name="at">That place.</param>
    /// <param name="depth">Of sharing so far; bounded, as the depth of every expression is.</param>
    private static Expression Shared(ReadOnlySpan<byte[]> texts, int at, int depth)
    {
        var options = new List<Expression>();
        if (depth == MaxSharing)
        {
            foreach (var text in texts)
                options.Add(new Literal(text[at..]));
            return AnyOf(options);
        }

        for (var first = 0; first < texts.Length;)
        {
            var last = first;
            var common = texts[first].Length;
            if (common > at)
            {
                while (last + 1 < texts.Length && texts[last + 1][at] == texts[first][at])
                    last++;
                common = texts[first].AsSpan().CommonPrefixLength(texts[last]);
            }

            options.Add(first == last ? new Literal(texts[first][at..]) : Of(new Literal(texts[first][at..common]), Shared(texts[first..(last + 1)], common, depth + 1)));
            first = last + 1;
        }

        return AnyOf(options);
    }
}

/// <summary>These bytes.</summary>
internal sealed record Literal(byte[] Bytes) : Expression;

/// <summary>One character of the set; the empty set matches nothing.</summary>
internal sealed record Characters(CodePoints Set) : Expression;

internal sealed record Sequence(IReadOnlyList<Expression> Parts) : Expression;

/// <summary>Any one of them; none matches nothing.</summary>
internal sealed record Alternatives(IReadOnlyList<Expression> Options) : Expression;

/// <param name="Body">What is repeated.</param>
/// <param name="Least">Fewest times.</param>
/// <param name="Most">Most times; null is any number.</param>
internal sealed record Repetition(Expression Body, int Least, int? Most) : Expression;

/// <summary>The text of a rule.</summary>
/// <param name="Rule">May be defined later.</param>
/// <param name="Nests">Counts towards the depth of nesting, which every recursion must.</param>
internal sealed record Reference(Rule Rule, bool Nests = false) : Expression;

/// <summary>A named expression; recursion goes through it.</summary>
internal sealed class Rule(string name)
{
    public string Name { get; } = name;

    public Expression? Body { get; set; }
}
