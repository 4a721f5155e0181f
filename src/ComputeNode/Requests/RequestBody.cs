using System.Text.Json;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Eigengate.ComputeNode.Requests;

/// <summary>A request body that is one JSON object in UTF-8 (spec/http-api.md §2.1).</summary>
internal static class RequestBody
{
    /// <summary>Reads the whole body. Anything but a JSON object of media type application/json is a schema error.</summary>
    public static async Task<JsonDocument> ReadAsync(HttpRequest request, CancellationToken cancel)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type)
            || !type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase))
            throw new ApiException(ApiError.Schema($"The Content-Type must be application/json, got '{request.ContentType}'.", "header.content-type"));

        using var buffer = new MemoryStream();
        await request.Body.CopyToAsync(buffer, cancel);
        return Parse(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }

    public static JsonDocument Parse(ReadOnlySpan<byte> utf8)
    {
        try
        {
            RequireUnicode(utf8);
            var reader = new Utf8JsonReader(utf8);
            JsonDocument document = JsonDocument.ParseValue(ref reader);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return document;
            using (document)
                throw JsonFields.WrongType("body", "a JSON object", document.RootElement);
        }
        catch (JsonException e)
        {
            throw new ApiException(ApiError.Schema($"The body is not valid JSON: line {e.LineNumber}, byte {e.BytePositionInLine}."));
        }
    }

    /// <summary>
    /// Walks every token: a string such as "\ud800" is JSON but not text, and would otherwise fail only where it is used.
    /// </summary>
    private static void RequireUnicode(ReadOnlySpan<byte> utf8)
    {
        var reader = new Utf8JsonReader(utf8);
        while (reader.Read())
        {
            if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName))
                continue;
            try
            {
                _ = reader.GetString();
            }
            catch (InvalidOperationException)
            {
                throw new ApiException(ApiError.Schema($"The body holds a string that is not valid Unicode, at byte {reader.TokenStartIndex}."));
            }
        }
    }
}
