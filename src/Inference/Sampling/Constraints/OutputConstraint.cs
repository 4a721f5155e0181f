using System.Text.Json;
using System.Text.Json.Serialization;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>What the text of an answer must satisfy (spec/http-api.md §9). Equal constraints can share their masks.</summary>
/// <param name="Kind">What <paramref name="Source"/> is.</param>
/// <param name="Source">The regular expression, the grammar, the schema as JSON, the choices as a JSON array; empty for a JSON object.</param>
public sealed record OutputConstraint(OutputConstraint.Form Kind, string Source)
{
    private const int MaxSchemaDepth = 400;

    [JsonConverter(typeof(JsonStringEnumConverter<Form>))]
    public enum Form
    {
        Choice,
        Regex,
        Grammar,
        JsonSchema,
        JsonObject,
    }

    /// <summary>Regular expression for the white space between JSON tokens; null allows any.</summary>
    public string? Space { get; init; }

    /// <summary>Whether objects of a schema that does not say so may have further properties.</summary>
    public bool AllowOtherProperties { get; init; } = true;

    public static OutputConstraint JsonObject { get; } = new(Form.JsonObject, "");

    public static OutputConstraint Choice(IEnumerable<string> choices) => new(Form.Choice, JsonSerializer.Serialize(choices));

    /// <summary>Time and memory are bounded, whatever the source is.</summary>
    /// <exception cref="ConstraintException">It is broken, too large, satisfied by nothing, or asks for what cannot be enforced.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public Grammar Compile(CancellationToken cancel = default)
    {
        var work = new CompileWork(cancel);
        return Kind switch
        {
            Form.Choice => GrammarBuilder.Build(Expression.AnyText(JsonSerializer.Deserialize<string[]>(Source)!), 0, work),
            Form.Regex => GrammarBuilder.Build(RegexParser.FullMatch(Source), 0, work),
            Form.Grammar => GrammarBuilder.Build(EbnfParser.Parse(Source), 0, work),
            Form.JsonObject => BuildJson(json => json.AnyObject, work),
            _ => BuildJson(json => JsonSchemaReader.Read(ParseSchema(), json, AllowOtherProperties, work), work),
        };
    }

    private Grammar BuildJson(Func<JsonGrammar, Expression> value, CompileWork work)
    {
        var json = new JsonGrammar(Space is null ? JsonGrammar.AnySpace : JsonGrammar.SpaceFrom(Space));
        return GrammarBuilder.Build(Expression.Of(json.Space, value(json)), JsonGrammar.MaxDepth, work);
    }

    private JsonElement ParseSchema()
    {
        try
        {
            return JsonElement.Parse(Source, new JsonDocumentOptions { MaxDepth = MaxSchemaDepth });
        }
        catch (JsonException)
        {
            throw new ConstraintException($"the schema is not valid JSON, or nests more than {MaxSchemaDepth} deep");
        }
    }
}
