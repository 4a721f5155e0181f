using System.Text.Json;
using System.Text.Json.Serialization;

namespace Eigengate.ComputeNode.Responses;

/// <summary>What ended a choice besides its primary EOS: a stop id, written as a number, or a stop string (spec/http-api.md §7.4).</summary>
[JsonConverter(typeof(Converter))]
internal sealed record StopReason(int? TokenId, string? Text)
{
    public static StopReason? Of(int? tokenId, string? text) => tokenId is null && text is null ? null : new StopReason(tokenId, text);

    internal sealed class Converter : JsonConverter<StopReason>
    {
        public override StopReason Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.Number ? new StopReason(reader.GetInt32(), null) : new StopReason(null, reader.GetString());

        public override void Write(Utf8JsonWriter writer, StopReason value, JsonSerializerOptions options)
        {
            if (value.TokenId is { } id)
                writer.WriteNumberValue(id);
            else
                writer.WriteStringValue(value.Text);
        }
    }
}
