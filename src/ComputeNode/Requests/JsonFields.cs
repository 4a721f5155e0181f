using System.Globalization;
using System.Text.Json;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>
/// Typed access to the fields of one JSON object. An absent field and null are both null; a field of another type is an
/// <see cref="ApiException"/> that names it (spec/http-api.md §2.1, §3.2). Unknown fields are never looked at.
/// </summary>
internal sealed class JsonFields(JsonElement json, string path = "")
{
    /// <summary>The first double above int64; every integral double below it converts exactly.</summary>
    private const double TwoTo63 = 9223372036854775808.0;

    public JsonElement? Element(string name) =>
        json.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public bool Has(string name) => Element(name) is not null;

    public string? Text(string name) => Element(name) is { } value ? TextOf(value, Path(name)) : null;

    public bool? Flag(string name) => Element(name) is not { } value ? null
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw WrongType(Path(name), "a boolean", value);

    /// <summary>An integer within the bounds; an integral float such as <c>5.0</c> counts as one.</summary>
    public long? Integer(string name, long minimum = long.MinValue, long maximum = long.MaxValue) =>
        Element(name) is { } value ? IntegerOf(value, Path(name), minimum, maximum) : null;

    public double? Number(string name) => Element(name) is { } value ? NumberOf(value, Path(name)) : null;

    public JsonFields? Object(string name) => Element(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Object ? new JsonFields(value, Path(name))
        : throw WrongType(Path(name), "an object", value);

    public IReadOnlyList<long>? Integers(string name, long minimum = long.MinValue) =>
        Element(name) is { } value ? [.. Items(value, Path(name), "an array of integers").Select((item, i) => IntegerOf(item, Item(name, i), minimum))] : null;

    public IReadOnlyList<string>? Texts(string name) =>
        Element(name) is { } value ? [.. Items(value, Path(name), "an array of strings").Select((item, i) => TextOf(item, Item(name, i)))] : null;

    /// <summary>The fields of an object, to outlive its document; of equal names the last counts.</summary>
    public static Dictionary<string, object?> Copy(JsonElement json, params ReadOnlySpan<string> except)
    {
        Dictionary<string, object?> copy = [];
        foreach (JsonProperty field in json.EnumerateObject())
        {
            if (!except.Contains(field.Name))
                copy[field.Name] = field.Value.Clone();
        }

        return copy;
    }

    /// <summary>Dotted path of a field, as error bodies name it.</summary>
    public string Path(string name) => path.Length == 0 ? name : $"{path}.{name}";

    private string Item(string name, int index) => string.Create(CultureInfo.InvariantCulture, $"{Path(name)}.{index}");

    private static JsonElement.ArrayEnumerator Items(JsonElement value, string path, string expected) =>
        value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw WrongType(path, expected, value);

    public static string TextOf(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw WrongType(path, "a string", value);

    public static double NumberOf(JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.Number)
            throw WrongType(path, "a number", value);
        double number = value.GetDouble();
        return double.IsFinite(number) ? number : throw new ApiException(ApiError.Schema($"{path}: {value.GetRawText()} is not a finite number.", path));
    }

    public static long IntegerOf(JsonElement value, string path, long minimum = long.MinValue, long maximum = long.MaxValue)
    {
        if (value.ValueKind != JsonValueKind.Number)
            throw WrongType(path, "an integer", value);
        if (!value.TryGetInt64(out long integer))
        {
            double number = value.GetDouble();
            if (double.IsFinite(number) && number != Math.Floor(number))
                throw WrongType(path, "an integer", value);
            // A literal without fraction or exponent that is no int64 lies outside, even where rounding to double hides it.
            bool isLiteral = value.GetRawText().AsSpan().IndexOfAny('.', 'e', 'E') < 0;
            if (number >= TwoTo63)
                throw OutOfBounds(path, "less than or equal to", maximum, "less_than_equal", value);
            if (number < -TwoTo63 || isLiteral)
                throw OutOfBounds(path, "greater than or equal to", minimum, "greater_than_equal", value);
            integer = (long)number;
        }

        if (integer < minimum)
            throw OutOfBounds(path, "greater than or equal to", minimum, "greater_than_equal", value);
        if (integer > maximum)
            throw OutOfBounds(path, "less than or equal to", maximum, "less_than_equal", value);
        return integer;
    }

    public static ApiException WrongType(string path, string expected, JsonElement got) =>
        new(ApiError.Schema($"{path}: expected {expected}, got {Describe(got)}.", path));

    // Clients match on the names in parentheses.
    private static ApiException OutOfBounds(string path, string relation, long bound, string rule, JsonElement got) =>
        new(ApiError.Schema(string.Create(CultureInfo.InvariantCulture, $"{path}: must be {relation} {bound} ({rule}), got {Describe(got)}."), path));

    private static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => $"the string \"{Shorten(value.GetString()!)}\"",
        _ => Shorten(value.GetRawText()),
    };

    private static string Shorten(string text) => text.Length <= 40 ? text : string.Concat(text.AsSpan(0, char.IsHighSurrogate(text[39]) ? 39 : 40), "…");
}
