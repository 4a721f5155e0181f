using System.Text.Json;

namespace Eigengate.Inference.Models;

/// <summary>One object of config.json. A key whose value is null counts as absent; every error names the file and the key.</summary>
/// <param name="Path">Keys that lead here, each followed by a dot; empty for the file's own object.</param>
internal readonly record struct ConfigObject(string File, string Path, JsonElement Value)
{
    /// <summary>No real model has a count beyond; larger ones would only overflow.</summary>
    private const int MaxCount = 1 << 24;

    public bool Has(string name) => Find(name) is not null;

    /// <summary>Written in the file, be it as null.</summary>
    public bool Mentions(string name) => Value.TryGetProperty(name, out _);

    public ConfigObject? Object(string name) => Find(name) is { } value
        ? value.ValueKind == JsonValueKind.Object ? new ConfigObject(File, $"{Path}{name}.", value) : throw Unexpected(name, value, "an object")
        : null;

    public IReadOnlyList<JsonElement>? Array(string name) => Find(name) is { } value
        ? value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : throw Unexpected(name, value, "a list")
        : null;

    public string? Text(string name) => Find(name) is { } value
        ? value.ValueKind == JsonValueKind.String ? value.GetString() : throw Unexpected(name, value, "a text")
        : null;

    public bool? Flag(string name) => Find(name) is { } value
        ? value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Unexpected(name, value, "true or false")
        : null;

    public int Count(string name, int? otherwise = null, int least = 1)
    {
        if (Find(name) is not { } value)
            return otherwise ?? throw Missing(name);
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int count) && count >= least && count <= MaxCount
            ? count
            : throw Unexpected(name, value, $"a whole number from {least} to {MaxCount}");
    }

    public double Positive(string name, double? otherwise = null)
    {
        if (Find(name) is not { } value)
            return otherwise ?? throw Missing(name);
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number > 0 && double.IsFinite(number)
            ? number
            : throw Unexpected(name, value, "a positive number");
    }

    public InvalidModelException Problem(string problem) => new($"'{File}': {problem}");

    private InvalidModelException Missing(string name) => Problem($"'{Path}{name}' is missing");

    private InvalidModelException Unexpected(string name, JsonElement value, string expected) =>
        Problem($"'{Path}{name}' is {value.GetRawText()}; {expected} was expected");

    private JsonElement? Find(string name) =>
        Value.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
