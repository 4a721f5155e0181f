using System.Globalization;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>The integers of an interval in decimal, without leading zeros or plus sign.</summary>
internal static class DecimalRange
{
    private static readonly CodePoints Digits = CodePoints.Of(('0', '9'));

    /// <param name="least">Smallest, or null for no bound.</param>
    /// <param name="most">Largest, or null for no bound.</param>
    public static Expression Of(long? least, long? most)
    {
        var options = new List<Expression>();
        if (most is null or >= 0)
            options.Add(Natural(Math.Max(least ?? 0, 0), most));
        if (least is null or < 0)
            options.Add(Expression.Of(Expression.Text("-"), Natural(most < 0 ? -most.Value : 1, -least)));
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
            options.Add(Expression.Of(new Characters(CodePoints.Of(('1', '9'))), new Characters(Digits).Repeated(first.Length, null)));
        return Expression.AnyOf(options);
    }

    /// <summary>Both of the same length.</summary>
    private static Expression Between(string first, string last)
    {
        var tail = first.Length - 1;
        if (first.All(c => c == '0') && last.All(c => c == '9'))
            return new Characters(Digits).Repeated(first.Length, first.Length);
        if (first[0] == last[0])
            return Expression.Of(Expression.Text(first[..1]), tail == 0 ? Expression.Empty : Between(first[1..], last[1..]));
        if (tail == 0)
            return new Characters(CodePoints.Of((first[0], last[0])));
        return Expression.AnyOf(
            Expression.Of(Expression.Text(first[..1]), Between(first[1..], new string('9', tail))),
            Expression.Of(new Characters(CodePoints.Of((first[0] + 1, last[0] - 1))), new Characters(Digits).Repeated(tail, tail)),
            Expression.Of(Expression.Text(last[..1]), Between(new string('0', tail), last[1..])));
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
