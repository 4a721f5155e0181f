using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Filters over whole sequences and dicts.</summary>
internal static class SequenceFilters
{
    public static IEnumerable<Builtin> Table { get; } =
    [
        new("length", [], (s, v, _) => Kinds.Length(s, v)),
        new("count", [], (s, v, _) => Kinds.Length(s, v)),
        new("default", ["default_value", "boolean"], Default),
        new("d", ["default_value", "boolean"], Default),
        new("list", [], (s, v, _) => new ListValue(Kinds.Items(s, v))),
        new("first", [], (s, v, _) => First(s, v)),
        new("last", [], (s, v, _) => Kinds.Items(s, v) is [.., var last] ? last : new Undefined("there is no last item, the sequence was empty")),
        new("reverse", [], (s, v, _) => Reverse(s, v)),
        new("join", ["d", "attribute"], Join),
        new("items", [], (s, v, _) => Items(s, v)),
        new("attr", ["name"], (s, v, a) => Access.Attribute(s, v, a.Text(s, 0) ?? "")),
        new("sum", ["attribute", "start"], Sum),
        new("batch", ["linecount", "fill_with"], Batch),
    ];

    private static object? Default(RenderState state, object? value, Arguments arguments)
    {
        bool replace = value is Undefined || (arguments.Flag(state, 1, false) && !Kinds.IsTrue(state, value));
        return !replace ? value : arguments.Has(0) ? arguments[0] : "";
    }

    private static object? First(RenderState state, object? value)
    {
        var none = new Undefined("there is no first item, the sequence was empty");
        if (value is IteratorValue iterator)
            return iterator.TryTake(out object? item) ? item : none;
        return Kinds.Items(state, value) is [var first, ..] ? first : none;
    }

    private static object? Reverse(RenderState state, object? value)
    {
        List<object?> items = [.. Kinds.Items(state, value)];
        items.Reverse();
        return value is string ? string.Concat(items.Cast<string>()) : new IteratorValue(items);
    }

    private static string Join(RenderState state, object? value, Arguments arguments)
    {
        string separator = ValueText.Str(state, arguments.Has(0) ? arguments[0] : "");
        var text = new TextBuilder(state);
        bool first = true;
        foreach (object? item in Kinds.Items(state, value))
        {
            if (!first)
                text.Append(separator);
            first = false;
            text.Append(ValueText.Str(state, arguments[1] is { } path ? Access.Path(state, item, path) : item));
        }

        return text.ToString();
    }

    private static IteratorValue Items(RenderState state, object? value)
    {
        if (value is Undefined)
            return new IteratorValue([]);
        if (value is not DictValue dict)
            throw state.Fail($"items needs a dict, got '{Kinds.Name(value)}'");
        return new IteratorValue(Pairs(state, dict));
    }

    public static List<object?> Pairs(RenderState state, DictValue dict)
    {
        state.Charge(dict.Count * 4L);
        return [.. dict.Entries.Select(e => new TupleValue(e.Key, e.Value))];
    }

    private static object? Sum(RenderState state, object? value, Arguments arguments)
    {
        object? total = arguments.Has(1) ? arguments[1] : 0L;
        foreach (object? item in Kinds.Items(state, value))
            total = Arithmetic.Apply(state, "+", total, arguments[0] is { } path ? Access.Path(state, item, path) : item);
        return total;
    }

    private static IteratorValue Batch(RenderState state, object? value, Arguments arguments)
    {
        int size = (int)Math.Clamp(arguments.Integer(state, 0, 1), 1, int.MaxValue);
        var batches = new List<object?>();
        foreach (object?[] chunk in Kinds.Items(state, value).Chunk(size))
        {
            List<object?> batch = [.. chunk];
            state.Charge(size);
            while (arguments[1] is not null && batch.Count < size)
                batch.Add(arguments[1]);
            batches.Add(new ListValue(batch));
        }

        return new IteratorValue(batches);
    }
}
