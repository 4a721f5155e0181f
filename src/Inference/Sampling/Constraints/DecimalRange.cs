using System.Globalization;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>The numbers of an interval in decimal, without leading zeros, plus sign and exponent.</summary>
internal static class DecimalRange
{
    private static readonly Characters Digit = new(CodePoints.Of(('0', '9')));

    /// <summary>The integers of an interval.</summary>
    /// <param name="least">Smallest, or null for no bound.</param>
    /// <param name="most">Largest, or null for no bound.</param>
    public static Expression Integers(long? least, long? most)
    {
        var options = new List<Expression>();
        if (most is null or >= 0)
            options.Add(Natural(Math.Max(least ?? 0, 0), most));
        if (least is null or < 0)
            options.Add(Expression.Of(Expression.Text("-"), Natural(most < 0 ? -most.Value : 1, -least)));
        return Expression.AnyOf(options);
    }

    /// <summary>The numbers of an interval, with any number of decimal places.</summary>
    public static Expression Numbers(Bound? least, Bound? most)
    {
        var options = new List<Expression>();
        if (most is null or { Value: > 0 } or { Value: 0, Excluded: false })
            options.Add(Positive(least is { Value: >= 0 } ? least.Value : new Bound(0, false), most));
        if (least is null or { Value: < 0 })
        {
            // Mirrored.
            var from = most is { Value: < 0 } or { Value: 0, Excluded: true } ? most.Value.Negated : new Bound(0, false);
            options.Add(Expression.Of(Expression.Text("-"), Positive(from, least?.Negated)));
        }

        return Expression.AnyOf(options);
    }

    /// <param name="least">Not negative.</param>
    /// <param name="most">Not negative, or null for no bound.</param>
    private static Expression Positive(Bound least, Bound? most)
    {
        var (low, high) = (least.Whole, most?.Whole);
        if (high < low)
            return Expression.AnyOf();
        if (low == high)
            return Expression.Of(Expression.Text(Text(low)), Fraction(least.Decimals, least.Excluded, most!.Value.Decimals, most.Value.Excluded));
        var options = new List<Expression> { Expression.Of(Expression.Text(Text(low)), Fraction(least.Decimals, least.Excluded, null, false)) };
        if (high is null || high > low + 1)
            options.Add(Expression.Of(Natural(low + 1, high - 1), Fraction("", false, null, false)));
        if (high is { } top)
            options.Add(Expression.Of(Expression.Text(Text(top)), Fraction("", false, most!.Value.Decimals, most.Value.Excluded)));
        return Expression.AnyOf(options);
    }

    /// <summary>What may follow a whole number: nothing, or a point and decimals.</summary>
    /// <param name="least">Decimals without zeros at the end.</param>
    /// <param name="above">Least itself is excluded.</param>
    /// <param name="most">The same; null for no bound.</param>
    /// <param name="below">Most itself is excluded.</param>
    private static Expression Fraction(string least, bool above, string? most, bool below)
    {
        var options = new List<Expression>();
        if (least.Length == 0 && !above && !(most is "" && below))
            options.Add(Expression.Empty);
        options.Add(Expression.Of(Expression.Text("."), Decimals(least, above, most, below, first: true)));
        return Expression.AnyOf(options);
    }

    /// <summary>Digits whose value lies in the interval; at least one when they are the first.</summary>
    private static Expression Decimals(string? least, bool above, string? most, bool below, bool first)
    {
        // Least is null where the digits so far are above it already, as most is where they are below.
        var options = new List<Expression>();
        var end = (least is null || (least.Length == 0 && !above)) && !(most is "" && below);
        if (end && !first)
            options.Add(Expression.Empty);
        if (least is null && most is null)
            return Digit.Repeated(first ? 1 : 0, null);
        if (least is "" && !above && most is null)
            return Digit.Repeated(first ? 1 : 0, null);
        var low = least is { Length: > 0 } ? least[0] : '0';
        var high = most is null ? '9' : most.Length > 0 ? most[0] : '0';
        // Zeros after the last decimal of a bound keep the value; when nothing but they can follow, one repetition says it.
        if (least is "" or null && most is "")
            return below || (least is "" && above) ? Expression.AnyOf() : Expression.Text("0").Repeated(first ? 1 : 0, null);
        if (least is "" && above && most is null)
            return Expression.Of(Expression.Text("0").Repeated(0, null), new Characters(CodePoints.Of(('1', '9'))), Digit.Repeated(0, null));
        for (var digit = low; digit <= high; digit++)
        {
            var under = least is not null && digit == low ? (least.Length > 0 ? least[1..] : "") : null;
            var over = most is not null && digit == high ? (most.Length > 0 ? most[1..] : "") : null;
            options.Add(Expression.Of(Expression.Text(digit.ToString()), Decimals(under, under is not null && above, over, over is not null && below, first: false)));
        }

        return Expression.AnyOf(options);
    }

    private static Expression Natural(long least, long? most)
    {
        if (most < least)
            return Expression.AnyOf();
        var options = new List<Expression>();
        var first = Text(least);
        var last = most is { } bound ? Text(bound) : null;
        for (var length = first.Length; length <= (last ?? first).Length; length++)
        {
            var from = length == first.Length ? first : "1" + new string('0', length - 1);
            options.Add(Between(from, length == last?.Length ? last : new string('9', length)));
        }

        if (last is null)
            options.Add(Expression.Of(new Characters(CodePoints.Of(('1', '9'))), Digit.Repeated(first.Length, null)));
        return Expression.AnyOf(options);
    }

    /// <summary>Both of the same length.</summary>
    private static Expression Between(string first, string last)
    {
        var tail = first.Length - 1;
        if (first.All(c => c == '0') && last.All(c => c == '9'))
            return Digit.Repeated(first.Length, first.Length);
        if (first[0] == last[0])
            return Expression.Of(Expression.Text(first[..1]), tail == 0 ? Expression.Empty : Between(first[1..], last[1..]));
        if (tail == 0)
            return new Characters(CodePoints.Of((first[0], last[0])));
        return Expression.AnyOf(
            Expression.Of(Expression.Text(first[..1]), Between(first[1..], new string('9', tail))),
            Expression.Of(new Characters(CodePoints.Of((first[0] + 1, last[0] - 1))), Digit.Repeated(tail, tail)),
            Expression.Of(Expression.Text(last[..1]), Between(new string('0', tail), last[1..])));
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>One end of an interval.</summary>
    public readonly record struct Bound(decimal Value, bool Excluded)
    {
        /// <summary>Of the absolute value.</summary>
        public long Whole => (long)Math.Truncate(Math.Abs(Value));

        /// <summary>Those of the absolute value, without zeros at the end.</summary>
        public string Decimals => (Math.Abs(Value) % 1).ToString(CultureInfo.InvariantCulture) is var text && text.Contains('.', StringComparison.Ordinal)
            ? text[(text.IndexOf('.', StringComparison.Ordinal) + 1)..].TrimEnd('0') : "";

        public Bound Negated => new(-Value, Excluded);
    }
}
