using CsCheck;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

/// <summary>Small random grammars, how they are written, and what they derive by the plainest method: sets of places where a part can end.</summary>
internal static class RandomGrammar
{
    private static readonly string[] Names = ["root", "x", "y"];

    internal abstract record Part;

    internal sealed record Text(string Value) : Part;

    internal sealed record Call(int Rule) : Part;

    internal sealed record All(Part[] Parts) : Part;

    internal sealed record OneOf(Part[] Parts) : Part;

    internal sealed record Many(Part Body, int Least, int? Most) : Part;

    private static readonly Gen<Part> Leaf = Gen.OneOf(
        Gen.Int[0, 3].Select(i => (Part)new Text(new[] { "a", "b", "é", "(" }[i])),
        Gen.Int[0, Names.Length - 1].Select(i => (Part)new Call(i)),
        Gen.Const((Part)new Text("")));

    private static readonly Gen<Part> Body = Gen.Recursive<Part>((depth, inner) => depth > 2 ? Leaf : Gen.OneOf(
        Leaf,
        inner.Array[2, 3].Select(parts => (Part)new All(parts)),
        inner.Array[2, 3].Select(parts => (Part)new OneOf(parts)),
        Gen.Select(inner, Gen.Int[0, 3]).Select((part, i) => (Part)(i switch
        {
            0 => new Many(part, 0, null),
            1 => new Many(part, 1, null),
            2 => new Many(part, 0, 1),
            _ => new Many(part, 1, 3),
        }))));

    public static Gen<Part[]> Any { get; } = Body.Array[Names.Length];

    public static string Write(Part[] rules) => string.Join('\n', rules.Select((rule, i) => $"{Names[i]} ::= {Write(rule)}"));

    /// <summary>Least fixed point: what is known about shorter derivations grows until nothing is added.</summary>
    public static bool Derives(Part[] rules, string text)
    {
        var ends = new HashSet<int>[rules.Length, text.Length + 1];
        for (var rule = 0; rule < rules.Length; rule++)
        {
            for (var at = 0; at <= text.Length; at++)
                ends[rule, at] = [];
        }

        HashSet<int> From(Part part, int at)
        {
            switch (part)
            {
                case Text literal:
                    return string.CompareOrdinal(text, at, literal.Value, 0, literal.Value.Length) == 0 ? [at + literal.Value.Length] : [];
                case Call call:
                    return ends[call.Rule, at];
                case All all:
                    return all.Parts.Aggregate(new HashSet<int> { at }, (places, next) => [.. places.SelectMany(p => From(next, p))]);
                case OneOf any:
                    return [.. any.Parts.SelectMany(p => From(p, at))];
                default:
                    var many = (Many)part;
                    var (reached, found) = (new HashSet<int> { at }, new HashSet<int>());
                    // More rounds than characters add nothing new.
                    for (var round = 0; round <= Math.Min(many.Most ?? int.MaxValue, text.Length + 2); round++)
                    {
                        if (round >= many.Least)
                            found.UnionWith(reached);
                        reached = [.. reached.SelectMany(p => From(many.Body, p))];
                    }

                    return found;
            }
        }

        for (var grown = true; grown;)
        {
            grown = false;
            for (var rule = 0; rule < rules.Length; rule++)
            {
                for (var at = 0; at <= text.Length; at++)
                {
                    var before = ends[rule, at].Count;
                    ends[rule, at] = [.. ends[rule, at], .. From(rules[rule], at)];
                    grown |= ends[rule, at].Count > before;
                }
            }
        }

        return ends[0, 0].Contains(text.Length);
    }

    private static string Write(Part part) => part switch
    {
        Text literal => $"\"{literal.Value}\"",
        Call call => Names[call.Rule],
        All all => $"({string.Join(' ', all.Parts.Select(Write))})",
        OneOf any => $"({string.Join(" | ", any.Parts.Select(Write))})",
        Many { Most: null } many => Write(many.Body) + (many.Least == 0 ? "*" : "+"),
        Many { Least: 0 } many => Write(many.Body) + "?",
        Many many => $"{Write(many.Body)}{{{many.Least},{many.Most}}}",
        _ => throw new ArgumentException("unknown part", nameof(part)),
    };
}
