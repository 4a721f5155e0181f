using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Eigengate.Lab;

/// <summary>Indented JSON files that end in a newline and leave printable characters as they are.</summary>
internal static class JsonFiles
{
    public static JsonSerializerOptions Compact { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly JsonSerializerOptions Indented = new(Compact) { WriteIndented = true };

    public static void Write(string path, JsonNode json) => File.WriteAllText(path, json.ToJsonString(Indented) + "\n");

    /// <summary>A JSON array with one element on each line.</summary>
    public static void WriteLines<T>(string path, IEnumerable<T> items) =>
        File.WriteAllText(path, "[\n" + string.Join(",\n", items.Select(item => JsonSerializer.Serialize(item, Compact))) + "\n]\n");
}
