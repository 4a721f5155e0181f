using System.Collections;
using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Eigengate.ChatTemplates.Values;

/// <summary>Copies the caller's objects into template values.</summary>
internal static class ValueConverter
{
    private const int MaxDepth = 128;

    public static object? FromClr(object? value, int depth = 0)
    {
        if (depth > MaxDepth)
            throw new ChatTemplateException($"values given to the template are nested deeper than {MaxDepth} levels");
        return value switch
        {
            null or string or bool or long or double or BigInteger => value,
            JsonElement element => FromJson(element, depth),
            JsonObject node => FromPairs(node.Select(p => (p.Key, (object?)p.Value)), depth),
            JsonArray node => FromItems(node, depth),
            JsonValue node => FromClr(node.GetValue<object>(), depth + 1),
            IReadOnlyDictionary<string, object?> map => FromPairs(map.Select(p => (p.Key, p.Value)), depth),
            IReadOnlyDictionary<string, string> map => FromPairs(map.Select(p => (p.Key, (object?)p.Value)), depth),
            IEnumerable items => FromItems(items, depth),
            byte or sbyte or short or ushort or int or uint => Convert.ToInt64(value, CultureInfo.InvariantCulture),
            ulong number => Number(number.ToString(CultureInfo.InvariantCulture)),
            float or decimal => Convert.ToDouble(value, CultureInfo.InvariantCulture),
            char character => character.ToString(),
            _ => throw new ChatTemplateException($"a value of type {value.GetType().Name} cannot be given to a template"),
        };
    }

    private static object? FromJson(JsonElement element, int depth) => element.ValueKind switch
    {
        JsonValueKind.Object => FromPairs(element.EnumerateObject().Select(p => (p.Name, (object?)p.Value)), depth),
        JsonValueKind.Array => FromItems(element.EnumerateArray(), depth),
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => Number(element.GetRawText()),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    /// <summary>Integers beyond 64 bits can be printed and compared, but not computed with.</summary>
    private static object Number(string text)
    {
        if (text.AsSpan().ContainsAny(".eE"))
            return double.Parse(text, CultureInfo.InvariantCulture);
        if (long.TryParse(text, CultureInfo.InvariantCulture, out long integer))
            return integer;
        return BigInteger.Parse(text, CultureInfo.InvariantCulture);
    }

    private static ListValue FromItems(IEnumerable items, int depth)
    {
        var list = new List<object?>();
        foreach (object? item in items)
            list.Add(FromClr(item, depth + 1));
        return new ListValue(list);
    }

    private static DictValue FromPairs(IEnumerable<(string Key, object? Value)> pairs, int depth)
    {
        var dict = new DictValue();
        foreach ((string key, object? value) in pairs)
            dict.Set(key, FromClr(value, depth + 1));
        return dict;
    }
}
