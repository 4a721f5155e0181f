using System.Text.Json;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Whether no value satisfies two of several schemas, as far as types and constants show; then oneOf is anyOf.</summary>
internal static class DisjointSchemas
{
    /// <param name="schemas">Schemas of a oneOf.</param>
    /// <param name="follow">Replaces references by what they point to.</param>
    public static bool Hold(IReadOnlyList<JsonElement> schemas, Func<JsonElement, JsonElement> follow)
    {
        var followed = schemas.Select(follow).ToArray();
        return Enumerable.Range(0, followed.Length).All(i => Enumerable.Range(0, i).All(j => Differ(followed[i], followed[j], follow)));
    }

    private static bool Differ(JsonElement a, JsonElement b, Func<JsonElement, JsonElement> follow) =>
        AreApart(Types(a), Types(b)) || AreApart(Values(a), Values(b)) || Discriminated(a, b, follow);

    private static bool AreApart(string[]? a, string[]? b) => a is not null && b is not null && !a.Intersect(b).Any();

    private static string[]? Types(JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object || !schema.TryGetProperty("type", out var type))
            return null;
        var names = type.ValueKind switch
        {
            JsonValueKind.String => [type.GetString()!],
            JsonValueKind.Array => type.EnumerateArray().Select(t => t.ToString()).ToArray(),
            _ => null,
        };
        // Every integer is a number.
        return names?.Select(n => n == "integer" ? "number" : n).ToArray();
    }

    /// <summary>Strings that are the only values; other constants are not compared, for 1 and 1.0 are equal.</summary>
    private static string[]? Values(JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object)
            return null;
        JsonElement[] values = schema.TryGetProperty("const", out var one) ? [one]
            : schema.TryGetProperty("enum", out var several) && several.ValueKind == JsonValueKind.Array ? [.. several.EnumerateArray()] : [];
        return values.Length > 0 && values.All(v => v.ValueKind == JsonValueKind.String) ? [.. values.Select(v => v.GetString()!)] : null;
    }

    private static bool Discriminated(JsonElement a, JsonElement b, Func<JsonElement, JsonElement> follow) =>
        Types(a) is ["object"] && Types(b) is ["object"] && Required(a).Intersect(Required(b)).Any(name =>
            Property(a, name) is { } first && Property(b, name) is { } second && AreApart(Values(follow(first)), Values(follow(second))));

    private static IEnumerable<string> Required(JsonElement schema) =>
        schema.TryGetProperty("required", out var names) && names.ValueKind == JsonValueKind.Array ? names.EnumerateArray().Select(n => n.ToString()) : [];

    private static JsonElement? Property(JsonElement schema, string name) =>
        schema.TryGetProperty("properties", out var properties) && properties.ValueKind == JsonValueKind.Object && properties.TryGetProperty(name, out var property) ? property : null;
}
