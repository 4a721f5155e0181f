using System.Text.Json;

namespace Eigengate.ComputeNode.Requests;

/// <summary>
/// Sampling values that the model's own generation_config.json suggests; a request value always wins
/// (spec/http-api.md §5.1). Fields that file lacks are neutral.
/// </summary>
internal sealed record GenerationDefaults
{
    public const string FileName = "generation_config.json";

    public double Temperature { get; init; } = 1;

    public double TopP { get; init; } = 1;

    public long TopK { get; init; }

    public double MinP { get; init; }

    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Most tokens of an answer whose request sets no limit; null fills the context.</summary>
    public long? MaxNewTokens { get; init; }

    /// <exception cref="InvalidDataException">The file is there, but is not a JSON object of numbers in range.</exception>
    public static GenerationDefaults Load(string modelDirectory)
    {
        string path = Path.Combine(modelDirectory, FileName);
        if (!File.Exists(path))
            return new GenerationDefaults();
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            var defaults = new GenerationDefaults
            {
                Temperature = Number(document, "temperature", t => t is >= 0 and <= 2) ?? 1,
                TopP = Number(document, "top_p", p => p is > 0 and <= 1) ?? 1,
                TopK = (long)(Number(document, "top_k", k => k >= -1 && k == Math.Floor(k)) ?? 0),
                MinP = Number(document, "min_p", p => p is >= 0 and <= 1) ?? 0,
                RepetitionPenalty = Number(document, "repetition_penalty", p => p > 0) ?? 1,
                MaxNewTokens = (long?)Number(document, "max_new_tokens", n => n is >= 1 and <= int.MaxValue && n == Math.Floor(n)),
            };
            return defaults;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"'{path}' is not a generation configuration: {e.Message}", e);
        }
    }

    private static double? Number(JsonDocument document, string name, Func<double, bool> inRange)
    {
        if (!document.RootElement.TryGetProperty(name, out JsonElement value) || value.ValueKind == JsonValueKind.Null)
            return null;
        return value.ValueKind == JsonValueKind.Number && inRange(value.GetDouble()) ? value.GetDouble()
            : throw new InvalidOperationException($"{name} is {value.GetRawText()}, out of its range");
    }
}
