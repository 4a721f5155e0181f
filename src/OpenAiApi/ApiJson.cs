using System.Text.Json;
using System.Text.Json.Serialization;

namespace Eigengate.OpenAiApi;

/// <summary>Serialization of the wire records: snake_case names, every documented key present, null written as null.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(ModelCard))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(VersionDocument))]
[JsonSerializable(typeof(LoadDocument))]
[JsonSerializable(typeof(UnmatchedBody))]
public sealed partial class ApiJson : JsonSerializerContext;
