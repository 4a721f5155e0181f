using System.Text.Json;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>
/// What <c>response_format</c>, <c>structured_outputs</c> and the older <c>guided_*</c> fields ask of the text
/// (spec/http-api.md §9). What is not offered is refused, never relaxed.
/// </summary>
/// <param name="Constraint">Not yet checked for meaning.</param>
/// <param name="Field">Where it was given, for errors.</param>
internal sealed record OutputFormat(OutputConstraint Constraint, string Field)
{
    private static readonly string[] Constraints = ["json", "regex", "choice", "grammar", "json_object", "structural_tag"];
    private static readonly string[] Older = ["guided_json", "guided_regex", "guided_choice", "guided_grammar"];

    /// <summary>Null for free text. When several fields are given, response_format counts, then structured_outputs.</summary>
    public static OutputFormat? Read(JsonFields body)
    {
        OutputFormat? older = ReadOlder(body);
        OutputFormat? structured = body.Object("structured_outputs") is { } outputs ? ReadStructuredOutputs(outputs) : older;
        return body.Object("response_format") is { } format ? ReadResponseFormat(format) : structured;
    }

    private static OutputFormat? ReadResponseFormat(JsonFields format) => format.Text("type") switch
    {
        "text" => null,
        "json_object" => new OutputFormat(OutputConstraint.JsonObject, "response_format"),
        "json_schema" => new OutputFormat(Schema(format.Object("json_schema")?.Element("schema") ?? throw Refused("response_format", "json_schema.schema is required"), "response_format"), "response_format"),
        null => throw new ApiException(ApiError.Schema("response_format.type: expected a string, got nothing.", "response_format.type")),
        var type => throw UnofferedFields.NotOffered("response_format", $"response_format of type '{type}'"),
    };

    private static OutputFormat ReadStructuredOutputs(JsonFields outputs)
    {
        const string Field = "structured_outputs";
        string kind = TheOne(Constraints, outputs, Field);
        OutputConstraint constraint = ReadConstraint(outputs, kind, kind, Field);
        string? space = outputs.Text("whitespace_pattern");
        return new OutputFormat(
            constraint with
            {
                Space = outputs.Flag("disable_any_whitespace") == true ? "" : space,
                AllowOtherProperties = outputs.Flag("disable_additional_properties") != true,
            },
            Field);
    }

    private static OutputFormat? ReadOlder(JsonFields body)
    {
        if (!Older.Any(body.Has))
            return null;
        string name = TheOne(Older, body, "guided_*");
        return new OutputFormat(ReadConstraint(body, name["guided_".Length..], name, name), name);
    }

    private static string TheOne(string[] names, JsonFields fields, string field)
    {
        string[] given = [.. names.Where(fields.Has)];
        return given.Length == 1 ? given[0]
            : throw Refused(field, $"{field} needs exactly one constraint, got {(given.Length == 0 ? "none" : string.Join(", ", given))}");
    }

    private static OutputConstraint ReadConstraint(JsonFields fields, string kind, string name, string field) => kind switch
    {
        "json" => Schema(fields.Element(name)!.Value, field),
        "regex" => new OutputConstraint(OutputConstraint.Form.Regex, fields.Text(name)!),
        "choice" => fields.Texts(name) is { Count: > 0 } choices ? OutputConstraint.Choice(choices) : throw Refused(field, $"{name}: at least one choice is required"),
        "json_object" => fields.Flag(name) == true ? OutputConstraint.JsonObject : throw Refused(field, $"{field}.json_object can only be true"),
        _ => throw UnofferedFields.NotOffered(field, field == name ? name : $"{field}.{name}"),
    };

    private static OutputConstraint Schema(JsonElement schema, string field) => new(OutputConstraint.Form.JsonSchema, schema.ValueKind switch
    {
        JsonValueKind.Object => schema.GetRawText(),
        JsonValueKind.String when field != "response_format" => schema.GetString()!,
        _ => throw Refused(field, $"{field}: a JSON schema must be an object"),
    });

    private static ApiException Refused(string field, string message) => new(ApiError.BadRequest($"{message}.", field));
}
