using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Eigengate.OpenAiApi;

/// <summary>Serialization of the wire records: snake_case names, every documented key present, null written as null, no escaping beyond need.</summary>
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(ModelCard))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(VersionDocument))]
[JsonSerializable(typeof(LoadDocument))]
[JsonSerializable(typeof(UnmatchedBody))]
public sealed partial class ApiJson : JsonSerializerContext
{
    public static ApiJson Wire { get; } = new(new JsonSerializerOptions(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        // Bodies are JSON, never HTML: messages keep their backticks and quotes.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
