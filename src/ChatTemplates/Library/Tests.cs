using System.Collections.Frozen;
using System.Numerics;
using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>What may follow <c>is</c>.</summary>
internal static class Tests
{
    private static readonly string[] Other = ["other"];

    private static readonly FrozenDictionary<string, Builtin> All = new Builtin[]
    {
        new("defined", [], (_, v, _) => v is not Undefined),
        new("undefined", [], (_, v, _) => v is Undefined),
        new("none", [], (_, v, _) => v is null),
        new("boolean", [], (_, v, _) => v is bool),
        new("true", [], (_, v, _) => v is true),
        new("false", [], (_, v, _) => v is false),
        new("integer", [], (_, v, _) => v is long or BigInteger),
        new("float", [], (_, v, _) => v is double),
        new("number", [], (_, v, _) => Kinds.IsNumber(v)),
        new("string", [], (_, v, _) => v is string),
        new("mapping", [], (_, v, _) => v is DictValue),
        new("sequence", [], (_, v, _) => v is string or SequenceValue or DictValue or RangeValue or Undefined),
        new("iterable", [], (_, v, _) => v is string or SequenceValue or DictValue or RangeValue or IteratorValue or Undefined or LoopValue),
        new("callable", [], (_, v, _) => v is Callable),
        new("odd", [], (s, v, _) => Remainder(s, v, 2L) is 1L or 1.0),
        new("even", [], (s, v, _) => Remainder(s, v, 2L) is 0L or 0.0),
        new("divisibleby", ["num"], (s, v, a) => Remainder(s, v, a.Required(s, 0, "num")) is 0L or 0.0),
        new("upper", [], (s, v, _) => Methods.IsUpper(Text(s, v))),
        new("lower", [], (s, v, _) => Methods.IsLower(Text(s, v))),
        new("in", ["seq"], (s, v, a) => Comparison.Contains(s, a.Required(s, 0, "seq"), v)),
        new("sameas", Other, (s, v, a) => IsSame(v, a.Required(s, 0, "other"))),
        new("filter", [], (s, v, _) => v is string name && Filters.Find(name) is not null),
        new("test", [], (s, v, _) => v is string name && Find(name) is not null),
    }
        .Concat(Named(["eq", "==", "equalto"], (s, a, b) => Comparison.AreEqual(s, a, b)))
        .Concat(Named(["ne", "!="], (s, a, b) => !Comparison.AreEqual(s, a, b)))
        .Concat(Named(["lt", "<", "lessthan"], (s, a, b) => Comparison.Order(s, a, b) < 0))
        .Concat(Named(["le", "<="], (s, a, b) => Comparison.Order(s, a, b) <= 0))
        .Concat(Named(["gt", ">", "greaterthan"], (s, a, b) => Comparison.Order(s, a, b) > 0))
        .Concat(Named(["ge", ">="], (s, a, b) => Comparison.Order(s, a, b) >= 0))
        .ToFrozenDictionary(t => t.Name, StringComparer.Ordinal);

    public static Builtin? Find(string name) => All.GetValueOrDefault(name);

    private static IEnumerable<Builtin> Named(string[] names, Func<RenderState, object?, object?, bool> compare) =>
        names.Select(name => new Builtin(name, Other, (s, v, a) => compare(s, v, a.Required(s, 0, "other"))));

    private static string Text(RenderState state, object? value)
    {
        string text = ValueText.Str(state, value);
        state.ChargeScan(text);
        return text;
    }

    private static object? Remainder(RenderState state, object? value, object? divisor) =>
        Kinds.IsNumber(Kinds.Defined(state, value))
            ? Arithmetic.Apply(state, "%", value, divisor)
            : throw state.Fail($"expected a number, got '{Kinds.Name(value)}'");

    private static bool IsSame(object? left, object? right) => (left, right) switch
    {
        (bool a, bool b) => a == b,
        (long a, long b) => a == b,
        (string a, string b) => a == b,
        _ => ReferenceEquals(left, right),
    };
}
