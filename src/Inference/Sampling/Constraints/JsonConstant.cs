using System.Text.Json;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Fixed JSON values.</summary>
internal static class JsonConstant
{
    /// <summary>The shortest text of the value: no white space, only necessary escapes, numbers as given.</summary>
    public static string Write(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(',', value.EnumerateObject().Select(p => $"{Quote(p.Name)}:{Write(p.Value)}")) + "}",
        JsonValueKind.Array => "[" + string.Join(',', value.EnumerateArray().Select(Write)) + "]",
        JsonValueKind.String => Quote(value.GetString()!),
        _ => value.GetRawText(),
    };

    /// <summary>Whether the value is of a JSON Schema type.</summary>
    public static bool Is(JsonElement value, string type) => value.ValueKind switch
    {
        JsonValueKind.Object => type == "object",
        JsonValueKind.Array => type == "array",
        JsonValueKind.String => type == "string",
        JsonValueKind.Number => type == "number" || (type == "integer" && value.GetDouble() % 1 == 0),
        JsonValueKind.Null => type == "null",
        _ => type == "boolean",
    };

    private static string Quote(string text) => $"\"{JsonGrammar.Escape(text)}\"";
}
