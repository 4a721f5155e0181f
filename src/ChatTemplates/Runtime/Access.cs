using Eigengate.ChatTemplates.Library;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>Attributes, items and slices. A dot asks attributes first and items second, brackets the other way round.</summary>
internal static class Access
{
    public static object? Attribute(RenderState state, object? target, string name)
    {
        Kinds.Defined(state, target);
        if (TryAttribute(target, name, out object? value) || TryItem(state, target, name, out value))
            return value;
        return Missing(state, target, name);
    }

    public static object? Item(RenderState state, object? target, object? key)
    {
        Kinds.Defined(state, target);
        if (TryItem(state, target, key, out object? value) || (key is string name && TryAttribute(target, name, out value)))
            return value;
        return Missing(state, target, key);
    }

    /// <summary>A dotted path as filters take it in their <c>attribute</c> argument; numbers are indices.</summary>
    public static object? Path(RenderState state, object? target, object? path)
    {
        if (path is not string text)
            return Item(state, target, path);
        foreach (string part in text.Split('.'))
            target = Item(state, target, long.TryParse(part, out long index) && index >= 0 ? index : part);
        return target;
    }

    public static object? Slice(RenderState state, object? target, object? start, object? stop, object? step)
    {
        Kinds.Defined(state, target);
        if (target is string text && PythonText.IsPlain(text) && step is null)
        {
            (long from, long to, _) = Bounds(state, text.Length, start, stop, step);
            state.ChargeText(Math.Max(0, to - from));
            return to > from ? text.Substring((int)from, (int)(to - from)) : "";
        }

        if (target is not (string or SequenceValue or RangeValue))
            throw state.Fail($"'{Kinds.Name(target)}' cannot be sliced");
        IReadOnlyList<object?> items = Kinds.Items(state, target);
        (long first, long end, long stride) = Bounds(state, items.Count, start, stop, step);
        var taken = new List<object?>();
        for (long i = first; stride > 0 ? i < end : i > end; i += stride)
            taken.Add(items[(int)i]);
        return target switch
        {
            string => string.Concat(taken.Cast<string>()),
            TupleValue => new TupleValue([.. taken]),
            _ => new ListValue(taken),
        };
    }

    private static (long Start, long Stop, long Step) Bounds(RenderState state, int length, object? start, object? stop, object? step)
    {
        // Clamped so that i += step cannot overflow.
        long stride = Math.Clamp(Index(state, step) ?? 1, -int.MaxValue, int.MaxValue);
        if (stride == 0)
            throw state.Fail("a slice step cannot be zero");
        (long low, long high) = stride > 0 ? (0, length) : (-1, length - 1L);
        return (Edge(start, stride > 0 ? low : high), Edge(stop, stride > 0 ? high : low), stride);

        long Edge(object? edge, long fallback)
        {
            if (Index(state, edge) is not { } index)
                return fallback;
            return Math.Clamp(index < 0 ? index + length : index, low, high);
        }
    }

    private static long? Index(RenderState state, object? value)
    {
        if (Kinds.Defined(state, value) is null)
            return null;
        return Kinds.TryInteger(value, out long index)
            ? index
            : throw state.Fail($"slice bounds are integers, got '{Kinds.Name(value)}'");
    }

    private static bool TryAttribute(object? target, string name, out object? value)
    {
        value = null;
        switch (target)
        {
            case LoopValue loop: return loop.TryGet(name, out value);
            case NamespaceValue space: return space.Attributes.TryGet(name, out value);
            case MacroValue macro when name == "name":
                value = macro.Name;
                return true;
        }

        if (!Methods.TryFind(target, name, out Builtin? method))
            return false;
        value = new BoundBuiltin(method, target);
        return true;
    }

    private static bool TryItem(RenderState state, object? target, object? key, out object? value)
    {
        value = null;
        if ((target as string ?? key as string) is { } scanned)
            state.ChargeScan(scanned);
        if (target is DictValue dict)
            return DictValue.IsKey(key) && dict.TryGet(key, out value);
        if (!Kinds.TryInteger(key, out long index))
            return false;
        switch (target)
        {
            case SequenceValue sequence when Resolve(sequence.Items.Count, out int at):
                value = sequence.Items[at];
                return true;
            case RangeValue range when Resolve(range.Count, out int at):
                value = range[at];
                return true;
            case string text when PythonText.IsPlain(text):
                if (!Resolve(text.Length, out int unit))
                    return false;
                value = text[unit].ToString();
                return true;
            case string text:
                IReadOnlyList<object?> characters = Kinds.Items(state, text);
                if (!Resolve(characters.Count, out int character))
                    return false;
                value = characters[character];
                return true;
            default:
                return false;
        }

        bool Resolve(int count, out int at)
        {
            long resolved = index < 0 ? index + count : index;
            at = resolved >= 0 && resolved < count ? (int)resolved : -1;
            return at >= 0;
        }
    }

    private static Undefined Missing(RenderState state, object? target, object? key) => new(key is string name
        ? $"'{Kinds.Name(target)}' has no attribute '{name}'"
        : $"'{Kinds.Name(target)}' has no element {ValueText.Repr(state, key)}");
}
