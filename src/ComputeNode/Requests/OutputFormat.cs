using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>
/// The fields <c>response_format</c> and <c>structured_outputs</c> (spec/http-api.md §9). Offered are free text and
/// "any JSON object"; other constraints are refused, never relaxed.
/// </summary>
internal static class OutputFormat
{
    private static readonly string[] Constraints = ["json", "regex", "choice", "grammar", "json_object", "structural_tag"];
    private static readonly string[] Options = ["disable_any_whitespace", "disable_additional_properties", "whitespace_pattern"];

    /// <summary>Whether the output must be one JSON object. When both fields are given, response_format counts.</summary>
    public static bool ReadJsonObject(JsonFields body)
    {
        bool structured = body.Object("structured_outputs") is { } outputs && ReadStructuredOutputs(outputs);
        return body.Object("response_format") is { } format ? ReadResponseFormat(format) : structured;
    }

    private static bool ReadResponseFormat(JsonFields format) => format.Text("type") switch
    {
        "text" => false,
        "json_object" => true,
        null => throw new ApiException(ApiError.Schema("response_format.type: expected a string, got nothing.", "response_format.type")),
        var type => throw UnofferedFields.NotOffered("response_format", $"response_format of type '{type}'"),
    };

    private static bool ReadStructuredOutputs(JsonFields outputs)
    {
        string[] given = [.. Constraints.Where(outputs.Has)];
        if (given.Length != 1)
            throw Refused($"structured_outputs needs exactly one constraint, got {(given.Length == 0 ? "none" : string.Join(", ", given))}.");
        if (Options.FirstOrDefault(outputs.Has) is { } option)
            throw UnofferedFields.NotOffered("structured_outputs", $"structured_outputs.{option}");
        if (given[0] != "json_object")
            throw UnofferedFields.NotOffered("structured_outputs", $"structured_outputs.{given[0]}");
        return outputs.Flag("json_object") == true ? true : throw Refused("structured_outputs.json_object can only be true.");
    }

    private static ApiException Refused(string message) => new(ApiError.BadRequest(message, "structured_outputs"));
}
