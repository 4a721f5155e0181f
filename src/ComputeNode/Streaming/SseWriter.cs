using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace Eigengate.ComputeNode.Streaming;

/// <summary>
/// Writes a <c>text/event-stream</c> response (spec/http-api.md §8): <c>data: </c>, one line of JSON, a blank line; each
/// event is flushed at once. Not thread-safe: one writer per response.
/// </summary>
internal sealed class SseWriter(PipeWriter output)
{
    /// <summary>Sends status 200 and the headers that keep proxies from buffering or caching.</summary>
    public static SseWriter Start(HttpResponse response)
    {
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";
        return new SseWriter(response.BodyWriter);
    }

    public async Task WriteAsync<T>(T value, JsonTypeInfo<T> type, CancellationToken cancel)
    {
        Write("data: "u8);
        await using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = type.Options.Encoder, Indented = false }))
            JsonSerializer.Serialize(json, value, type);
        Write("\n\n"u8);
        await output.FlushAsync(cancel);
    }

    /// <summary>The last event of every stream, also after an error event.</summary>
    public async Task WriteDoneAsync(CancellationToken cancel)
    {
        Write("data: [DONE]\n\n"u8);
        await output.FlushAsync(cancel);
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(output.GetSpan(bytes.Length));
        output.Advance(bytes.Length);
    }
}
