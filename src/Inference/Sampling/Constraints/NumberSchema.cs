using static Eigengate.Inference.Sampling.Constraints.DecimalRange;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// The keywords of JSON Schema for numbers. Integers are written without fraction and exponent, bounded numbers without
/// exponent.
/// </summary>
internal static class NumberSchema
{
    public static string[] Keywords => ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

    public static Expression Integer(SchemaFields fields)
    {
        if (!Keywords.Any(fields.Has))
            return JsonGrammar.Integer;
        var (least, most) = (Least(fields), Most(fields));
        long? first = least is null ? null : (long)(least.Value.Excluded ? Math.Floor(least.Value.Value) + 1 : Math.Ceiling(least.Value.Value));
        long? last = most is null ? null : (long)(most.Value.Excluded ? Math.Ceiling(most.Value.Value) - 1 : Math.Floor(most.Value.Value));
        return first > last ? Expression.AnyOf() : Integers(first, last);
    }

    public static Expression Number(SchemaFields fields) =>
        Keywords.Any(fields.Has) ? Numbers(Least(fields), Most(fields)) : JsonGrammar.Number;

    private static Bound? Least(SchemaFields fields) => Tighter(fields, "minimum", "exclusiveMinimum", (above, including) => above >= including);

    private static Bound? Most(SchemaFields fields) => Tighter(fields, "maximum", "exclusiveMaximum", (below, including) => below <= including);

    private static Bound? Tighter(SchemaFields fields, string including, string excluding, Func<decimal, decimal, bool> wins)
    {
        var included = fields.Bound(including);
        var excluded = fields.Bound(excluding);
        if (excluded is { } bound && (included is null || wins(bound, included.Value)))
            return new Bound(bound, true);
        return included is { } value ? new Bound(value, false) : null;
    }
}
