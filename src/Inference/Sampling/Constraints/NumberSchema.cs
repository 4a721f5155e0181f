namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>The keywords of JSON Schema for numbers. Integers are written without fraction and exponent.</summary>
internal static class NumberSchema
{
    public static string[] Keywords => ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

    public static Expression Integer(SchemaFields fields)
    {
        if (!Keywords.Any(fields.Has))
            return JsonGrammar.Integer;
        long? least = fields.Bound("minimum") is { } minimum ? (long)Math.Ceiling(minimum) : null;
        long? most = fields.Bound("maximum") is { } maximum ? (long)Math.Floor(maximum) : null;
        if (fields.Bound("exclusiveMinimum") is { } above)
            least = Math.Max(least ?? long.MinValue, (long)Math.Floor(above) + 1);
        if (fields.Bound("exclusiveMaximum") is { } below)
            most = Math.Min(most ?? long.MaxValue, (long)Math.Ceiling(below) - 1);
        return least > most ? Expression.AnyOf() : DecimalRange.Of(least, most);
    }

    public static Expression Number(SchemaFields fields)
    {
        foreach (var keyword in Keywords.Where(fields.Has))
        {
            if (keyword != "minimum" || fields.Bound(keyword) != 0)
                throw fields.Refused(keyword, "can only be enforced for integers (for numbers only minimum: 0)");
        }

        return fields.Has("minimum") ? RegexParser.FullMatch(@"(0|[1-9]\d*)(\.\d+)?([eE][+\-]?\d+)?") : JsonGrammar.Number;
    }
}
