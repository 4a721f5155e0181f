using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Responses;

/// <summary>Serialization of what only nodes answer: snake_case names, null written as null, no escaping beyond need.</summary>
[JsonSerializable(typeof(CompletionResponse))]
[JsonSerializable(typeof(CompletionChunk))]
[JsonSerializable(typeof(ChatResponse))]
[JsonSerializable(typeof(ChatChunk))]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(TokenizeResponse))]
[JsonSerializable(typeof(DetokenizeResponse))]
internal sealed partial class NodeJson : JsonSerializerContext
{
    public static NodeJson Wire { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        // Still escapes line separators, so that one event stays one line for every client.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new LogprobConverter() },
    });
}

internal sealed record TokenizeResponse(int Count, int MaxModelLen, IReadOnlyList<int> Tokens, IReadOnlyList<string>? TokenStrs);

internal sealed record DetokenizeResponse(string Prompt);

/// <summary>Log-probabilities on the wire: JSON has no infinity, so everything below the floor becomes the floor (§2.2).</summary>
internal sealed class LogprobConverter : JsonConverter<float>
{
    public const float Floor = -9999f;

    public override float Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetSingle();

    public override void Write(Utf8JsonWriter writer, float value, JsonSerializerOptions options)
    {
        if (value > Floor)
            writer.WriteNumberValue(value);
        else
            writer.WriteRawValue("-9999.0", skipInputValidation: true);
    }
}
