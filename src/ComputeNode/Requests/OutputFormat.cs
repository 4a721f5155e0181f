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
    private const int MaxLength = 1_000_000;
    private const string Structured = "structured_outputs";
    private const string ResponseFormat = "response_format";

    private static readonly string[] Kinds = ["json", "regex", "choice", "grammar", "json_object", "structural_tag"];
    private static readonly string[] Older = ["guided_json", "guided_regex", "guided_choice", "guided_grammar"];

    /// <summary>Null for free text. When several fields are given, response_format counts, then structured_outputs.</summary>
    public static OutputFormat? Read(JsonFields body)
    {
        OutputFormat? older = ReadOlder(body);
        OutputFormat? structured = body.Object(Structured) is { } outputs ? ReadStructuredOutputs(outputs) : older;
        OutputFormat? format = (body.Object(ResponseFormat) is { } given ? ReadResponseFormat(given) : null) ?? structured;
        return format is not { Constraint.Source.Length: > MaxLength } ? format
            : throw Refused(format.Field, $"{format.Field}: at most {MaxLength} characters can be enforced, got {format.Constraint.Source.Length}");
    }

    private static OutputFormat? ReadResponseFormat(JsonFields format) => format.Text("type") switch
    {
        "text" => null,
        "json_object" => new OutputFormat(OutputConstraint.JsonObject, ResponseFormat),
        "json_schema" => new OutputFormat(
            Schema(format.Object("json_schema")?.Element("schema") ?? throw Refused(ResponseFormat, "response_format.json_schema.schema is required"), ResponseFormat), ResponseFormat),
        null => throw new ApiException(ApiError.Schema("response_format.type: expected a string, got nothing.", "response_format.type")),
        var type => throw UnofferedFields.NotOffered(ResponseFormat, $"response_format of type '{type}'"),
    };

    private static OutputFormat ReadStructuredOutputs(JsonFields outputs)
    {
        string[] given = [.. Kinds.Where(outputs.Has)];
        if (given.Length != 1)
            throw Refused(Structured, $"structured_outputs needs exactly one constraint, got {(given.Length == 0 ? "none" : string.Join(", ", given))}");
        OutputConstraint constraint = ReadConstraint(outputs, given[0], given[0], Structured);
        string? space = outputs.Text("whitespace_pattern");
        return new OutputFormat(
            constraint with
            {
                Space = outputs.Flag("disable_any_whitespace") == true ? "" : space,
                AllowOtherProperties = outputs.Flag("disable_additional_properties") != true,
            },
            Structured);
    }

    private static OutputFormat? ReadOlder(JsonFields body)
    {
        string[] given = [.. Older.Where(body.Has)];
        if (given.Length == 0)
            return null;
        if (given.Length > 1)
            throw Refused(given[0], $"only one guided field can be given, got {string.Join(", ", given)}");
        return new OutputFormat(ReadConstraint(body, given[0]["guided_".Length..], given[0], given[0]) with { Space = body.Text("guided_whitespace_pattern") }, given[0]);
    }

    private static OutputConstraint ReadConstraint(JsonFields fields, string kind, string name, string field) => kind switch
    {
        "json" => Schema(fields.Element(name)!.Value, field),
        "regex" => new OutputConstraint(OutputConstraint.Form.Regex, fields.Text(name)!),
        "grammar" => new OutputConstraint(OutputConstraint.Form.Grammar, fields.Text(name)!),
        "choice" => fields.Texts(name) is { Count: > 0 } choices ? OutputConstraint.Choice(choices) : throw Refused(field, $"{name}: at least one choice is required"),
        "json_object" => fields.Flag(name) == true ? OutputConstraint.JsonObject : throw Refused(field, $"{field}.json_object can only be true"),
        _ => throw UnofferedFields.NotOffered(field, $"{field}.{name}"),
    };

    private static OutputConstraint Schema(JsonElement schema, string field) => new(OutputConstraint.Form.JsonSchema, schema.ValueKind switch
    {
        JsonValueKind.Object => schema.GetRawText(),
        JsonValueKind.String when field != ResponseFormat => schema.GetString()!,
        _ => throw Refused(field, $"{field}: a JSON schema must be an object"),
    });

    private static ApiException Refused(string field, string message) => new(ApiError.BadRequest($"{message}.", field));
}
