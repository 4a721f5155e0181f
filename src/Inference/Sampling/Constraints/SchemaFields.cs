using System.Globalization;
using System.Text.Json;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>The keywords of one schema object, by type, with errors that name keyword and place.</summary>
/// <param name="Json">An object.</param>
/// <param name="Path">JSON pointer of the schema, beginning with #.</param>
internal readonly record struct SchemaFields(JsonElement Json, string Path)
{
    /// <summary>Keywords that say something about a value without restricting it.</summary>
    private static readonly string[] Annotations =
    [
        "title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated",
        "readOnly", "writeOnly", "$anchor", "$vocabulary", "contentMediaType", "contentEncoding", "contentSchema", "discriminator",
    ];

    public IEnumerable<string> Restrictions => Json.EnumerateObject().Select(p => p.Name).Where(name => !Annotations.Contains(name) && !name.StartsWith("x-", StringComparison.Ordinal));

    public bool Has(string keyword) => Json.TryGetProperty(keyword, out _);

    public JsonElement? Element(string keyword) => Json.TryGetProperty(keyword, out var value) ? value : null;

    public JsonElement? Element(string keyword, JsonValueKind kind) => Element(keyword) is not { } value ? null
        : value.ValueKind == kind ? value
        : throw Refused(keyword, $"must be of type {kind}, got {value.ValueKind}");

    /// <summary>A bound of a count.</summary>
    public int? Count(string keyword) => Element(keyword) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var count) && count >= 0 ? count
        : throw Refused(keyword, $"must be an integer in [0, {int.MaxValue}], got {value.GetRawText()}");

    public decimal? Bound(string keyword) => Element(keyword) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var bound) && Math.Abs(bound) <= 1e18m ? bound
        : throw Refused(keyword, $"can only be a number within ±1e18, got {value.GetRawText()}");

    public string At(string keyword) => $"{Path}/{keyword.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}";

    public string At(string keyword, int index) => string.Create(CultureInfo.InvariantCulture, $"{At(keyword)}/{index}");

    /// <summary>Every keyword but these and the annotations cannot be enforced here.</summary>
    public void RefuseAllBut(string because, params ReadOnlySpan<string> known)
    {
        foreach (var name in Restrictions)
        {
            if (!known.Contains(name))
                throw Refused(name, because);
        }
    }

    public ConstraintException Refused(string keyword, string why) => new($"the schema's keyword '{keyword}' at {Path} {why}");
}
