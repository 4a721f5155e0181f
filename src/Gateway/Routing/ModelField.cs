using System.Text.Json;
using Eigengate.OpenAiApi;

namespace Eigengate.Gateway.Routing;

/// <summary>Finds <c>model</c> in a request body and leaves the rest to the node.</summary>
internal static class ModelField
{
    /// <summary>The value, or null when it is absent or null. Of several, the last counts, as it does for the node.</summary>
    /// <exception cref="ApiException">400: not JSON, not an object, or <c>model</c> is not a string.</exception>
    public static string? Read(ReadOnlySpan<byte> body)
    {
        try
        {
            var json = new Utf8JsonReader(body);
            json.Read();
            if (json.TokenType != JsonTokenType.StartObject)
                throw new ApiException(ApiError.Schema("The request body must be a JSON object."));
            return ReadObject(ref json);
        }
        catch (JsonException e)
        {
            throw new ApiException(ApiError.Schema($"The request body is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1})."));
        }
        catch (InvalidOperationException)
        {
            throw new ApiException(ApiError.Schema("The request body is not valid UTF-8."));
        }
    }

    private static string? ReadObject(ref Utf8JsonReader json)
    {
        string? model = null;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var isModel = json.ValueTextEquals("model"u8);
            json.Read();
            if (isModel)
                model = json.TokenType switch
                {
                    JsonTokenType.String => json.GetString(),
                    JsonTokenType.Null => null,
                    _ => throw new ApiException(ApiError.Schema("The field model must be a string.", "model")),
                };
            else
                json.Skip();
        }

        // Reads on to the end, so that anything after the object is noticed.
        json.Read();
        return model;
    }
}
