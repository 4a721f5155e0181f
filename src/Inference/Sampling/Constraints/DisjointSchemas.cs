using System.Text.Json;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Whether no value satisfies two of several schemas, as far as types and constants show; then oneOf is anyOf.</summary>
internal static class DisjointSchemas
{
    /// <param name="schemas">Schemas of a oneOf.</param>
    /// <param name="follow">Replaces references by what they point to.</param>
    /// <param name="work">Bounds the comparisons.</param>
    public static bool Hold(IReadOnlyList<JsonElement> schemas, Func<JsonElement, JsonElement> follow, CompileWork work)
    {
        var traits = schemas.Select(schema => Traits.Of(follow(schema), follow, work)).ToArray();
        return Enumerable.Range(0, traits.Length).All(i => Enumerable.Range(0, i).All(j => traits[i].Exclude(traits[j], work)));
    }

    /// <summary>What all values of a schema have in common.</summary>
    /// <param name="Types">Null: any.</param>
    /// <param name="Values">Strings that are the only values. Other constants are not compared, for 1 and 1.0 are equal.</param>
    /// <param name="Tags">Of an object: the only values of properties that must be present.</param>
    private sealed record Traits(HashSet<string>? Types, HashSet<string>? Values, Dictionary<string, HashSet<string>> Tags)
    {
        public static Traits Of(JsonElement schema, Func<JsonElement, JsonElement> follow, CompileWork work)
        {
            var tags = new Dictionary<string, HashSet<string>>();
            if (schema.ValueKind != JsonValueKind.Object)
                return new Traits(null, null, tags);
            var types = TypesOf(schema);
            if (types is ["object"] && schema.TryGetProperty("properties", out var properties) && properties.ValueKind == JsonValueKind.Object
                && schema.TryGetProperty("required", out var required) && required.ValueKind == JsonValueKind.Array)
            {
                var names = required.EnumerateArray().Select(name => name.ToString()).ToHashSet();
                foreach (var property in properties.EnumerateObject())
                {
                    work.Spend(8);
                    if (names.Contains(property.Name) && ValuesOf(follow(property.Value), work) is { } values)
                        tags[property.Name] = values;
                }
            }

            return new Traits(types?.ToHashSet(), ValuesOf(schema, work), tags);
        }

        public bool Exclude(Traits other, CompileWork work) =>
            AreApart(Types, other.Types, work) || AreApart(Values, other.Values, work)
            || Tags.Any(tag => other.Tags.TryGetValue(tag.Key, out var values) && AreApart(tag.Value, values, work));

        private static bool AreApart(HashSet<string>? a, HashSet<string>? b, CompileWork work)
        {
            work.Spend(1 + Math.Min(a?.Count ?? 0, b?.Count ?? 0));
            return a is not null && b is not null && (a.Count < b.Count ? !b.Overlaps(a) : !a.Overlaps(b));
        }

        private static string[]? TypesOf(JsonElement schema)
        {
            if (!schema.TryGetProperty("type", out var type))
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

        private static HashSet<string>? ValuesOf(JsonElement schema, CompileWork work)
        {
            if (schema.ValueKind != JsonValueKind.Object)
                return null;
            JsonElement[] values = schema.TryGetProperty("const", out var one) ? [one]
                : schema.TryGetProperty("enum", out var several) && several.ValueKind == JsonValueKind.Array ? [.. several.EnumerateArray()] : [];
            work.Spend(values.Length);
            return values.Length > 0 && values.All(v => v.ValueKind == JsonValueKind.String) ? [.. values.Select(v => v.GetString()!)] : null;
        }
    }
}
