using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Filters that compare items; like Jinja's they ignore the case of strings unless told otherwise.</summary>
internal static class OrderFilters
{
    public static IEnumerable<Builtin> Table { get; } =
    [
        new("sort", ["reverse", "case_sensitive", "attribute"], (s, v, a) =>
            new ListValue(Sorted(s, Kinds.Items(s, v), i => SortKey(s, i, a[2], a.Flag(s, 1, false)), a.Flag(s, 0, false)))),
        new("dictsort", ["case_sensitive", "by", "reverse"], DictSort),
        new("unique", ["case_sensitive", "attribute"], Unique),
        new("min", ["case_sensitive", "attribute"], (s, v, a) => Extreme(s, v, a, sign: -1)),
        new("max", ["case_sensitive", "attribute"], (s, v, a) => Extreme(s, v, a, sign: 1)),
    ];

    private static List<object?> Sorted(RenderState state, IReadOnlyList<object?> items, Func<object?, object?> key, bool reverse)
    {
        var order = Comparer<object?>.Create((a, b) => Comparison.Order(state, a, b) ?? 0);
        try
        {
            return [.. reverse ? items.OrderByDescending(key, order) : items.OrderBy(key, order)];
        }
        catch (InvalidOperationException wrapped) when (wrapped.InnerException is ChatTemplateException inner)
        {
            throw inner;
        }
    }

    /// <summary>A path may list several attributes with commas, which are then compared in turn.</summary>
    private static object? SortKey(RenderState state, object? item, object? path, bool caseSensitive)
    {
        if (path is not string text || !text.Contains(',', StringComparison.Ordinal))
            return Key(state, item, path, caseSensitive);
        return new TupleValue([.. text.Split(',').Select(p => Key(state, item, p, caseSensitive))]);
    }

    private static object? Key(RenderState state, object? item, object? path, bool caseSensitive)
    {
        object? key = path is null ? item : Access.Path(state, item, path);
        if (key is not string text || caseSensitive)
            return key;
        state.ChargeText(text.Length);
        return text.ToLowerInvariant();
    }

    private static ListValue DictSort(RenderState state, object? value, Arguments arguments)
    {
        if (Kinds.Defined(state, value) is not DictValue dict)
            throw state.Fail($"dictsort needs a dict, got '{Kinds.Name(value)}'");
        int part = (arguments.Text(state, 1) ?? "key") switch
        {
            "key" => 0,
            "value" => 1,
            _ => throw state.Fail("dictsort sorts by 'key' or 'value'"),
        };
        bool caseSensitive = arguments.Flag(state, 0, false);
        return new ListValue(Sorted(
            state,
            SequenceFilters.Pairs(state, dict),
            pair => Key(state, ((TupleValue)pair!).Items[part], null, caseSensitive),
            arguments.Flag(state, 2, false)));
    }

    private static IteratorValue Unique(RenderState state, object? value, Arguments arguments)
    {
        bool caseSensitive = arguments.Flag(state, 0, false);
        var seen = new DictValue();
        var kept = new List<object?>();
        foreach (object? item in Kinds.Items(state, value))
        {
            object? key = Key(state, item, arguments[1], caseSensitive);
            if (!DictValue.IsKey(key))
                throw state.Fail($"unique does not work on '{Kinds.Name(key)}'");
            if (seen.Contains(key))
                continue;
            seen.Set(key, null);
            kept.Add(item);
        }

        return new IteratorValue(kept);
    }

    private static object? Extreme(RenderState state, object? value, Arguments arguments, int sign)
    {
        bool caseSensitive = arguments.Flag(state, 0, false);
        IReadOnlyList<object?> items = Kinds.Items(state, value);
        if (items.Count == 0)
            return new Undefined("there is no smallest or largest item, the sequence was empty");
        object? best = items[0];
        object? bestKey = Key(state, best, arguments[1], caseSensitive);
        foreach (object? item in items.Skip(1))
        {
            object? key = Key(state, item, arguments[1], caseSensitive);
            if (Comparison.Order(state, key, bestKey) * sign > 0)
                (best, bestKey) = (item, key);
        }

        return best;
    }
}
