using System.Text.Json;
using Eigengate.OpenAiApi;

namespace Eigengate.Gateway.Routing;

/// <summary>The fields of a request body that the gateway needs; the rest is left to the node.</summary>
/// <param name="Model">Null when absent or null. Of several, the last counts, as it does for the node.</param>
/// <param name="RequestId">Null when absent or not a string, which the node will judge.</param>
internal readonly record struct RoutingFields(string? Model, string? RequestId)
{
    /// <exception cref="ApiException">400: not JSON, not an object, or <c>model</c> is not a string.</exception>
    public static RoutingFields Read(ReadOnlySpan<byte> body)
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

    private static RoutingFields ReadObject(ref Utf8JsonReader json)
    {
        string? model = null, requestId = null;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            bool isModel = json.ValueTextEquals("model"u8), isRequestId = json.ValueTextEquals("request_id"u8);
            json.Read();
            if (isRequestId && json.TokenType == JsonTokenType.String)
                requestId = json.GetString();
            else if (isModel)
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
        return new RoutingFields(model, requestId);
    }
}
