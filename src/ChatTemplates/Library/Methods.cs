using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Methods of strings, lists, tuples and dicts. Those that change their object are left out, but for append.</summary>
internal static class Methods
{
    private static readonly FrozenDictionary<string, Builtin> OfText =
        TextMethods.Table.ToFrozenDictionary(m => m.Name, StringComparer.Ordinal);

    private static readonly FrozenDictionary<string, Builtin> OfTuple = new Builtin[]
    {
        new("count", ["value"], (s, v, a) => (long)Items(v).Count(i => Comparison.AreEqual(s, i, a[0]))),
        new("index", ["value"], (s, v, a) => IndexOf(s, Items(v), a[0])),
    }.ToFrozenDictionary(m => m.Name, StringComparer.Ordinal);

    private static readonly FrozenDictionary<string, Builtin> OfList = OfTuple.Values.Concat(
    [
        new("append", ["object"], (s, v, a) => Append((ListValue)v!, a.Required(s, 0, "object"))),
        new("copy", [], (s, v, _) => new ListValue(Kinds.Items(s, v))),
    ]).ToFrozenDictionary(m => m.Name, StringComparer.Ordinal);

    private static readonly FrozenDictionary<string, Builtin> OfDict = new Builtin[]
    {
        new("get", ["key", "default"], (_, v, a) =>
            DictValue.IsKey(a[0]) && ((DictValue)v!).TryGet(a[0], out object? value) ? value : a[1]),
        new("items", [], (s, v, _) => new ListValue(SequenceFilters.Pairs(s, (DictValue)v!))),
        new("keys", [], (s, v, _) => new ListValue(Kinds.Items(s, v))),
        new("values", [], (s, v, _) => Values(s, (DictValue)v!)),
        new("copy", [], (s, v, _) => Copy(s, (DictValue)v!)),
    }.ToFrozenDictionary(m => m.Name, StringComparer.Ordinal);

    public static bool TryFind(object? target, string name, [NotNullWhen(true)] out Builtin? method)
    {
        FrozenDictionary<string, Builtin>? table = target switch
        {
            string => OfText,
            ListValue => OfList,
            TupleValue => OfTuple,
            DictValue => OfDict,
            _ => null,
        };
        method = null;
        return table is not null && table.TryGetValue(name, out method);
    }

    public static bool IsUpper(string text) => text.Any(char.IsUpper) && !text.Any(char.IsLower);

    public static bool IsLower(string text) => text.Any(char.IsLower) && !text.Any(char.IsUpper);

    private static IReadOnlyList<object?> Items(object? value) => ((SequenceValue)value!).Items;

    private static object? Append(ListValue list, object? item)
    {
        list.Append(item);
        return null;
    }

    private static long IndexOf(RenderState state, IReadOnlyList<object?> items, object? wanted)
    {
        for (int i = 0; i < items.Count; i++)
        {
            if (Comparison.AreEqual(state, items[i], wanted))
                return i;
        }

        throw state.Fail($"{ValueText.Repr(state, wanted)} is not in the sequence");
    }

    private static ListValue Values(RenderState state, DictValue dict)
    {
        state.Charge(dict.Count);
        return new ListValue(dict.Values);
    }

    private static DictValue Copy(RenderState state, DictValue dict)
    {
        state.Charge(dict.Count * 4L);
        var copy = new DictValue();
        foreach ((object? key, object? value) in dict.Entries)
            copy.Set(key, value);
        return copy;
    }
}
