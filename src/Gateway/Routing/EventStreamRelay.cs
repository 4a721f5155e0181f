using System.Text.Json;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Routing;

/// <summary>
/// Copies a node's event stream to the client as it comes. The proxy's own copying cuts the connection when the node dies
/// midway; clients are owed an error event and the end of the stream instead (§3.4).
/// </summary>
internal static class EventStreamRelay
{
    private const int BufferBytes = 16 << 10;

    private static ReadOnlySpan<byte> EndOfEvent => "\n\n"u8;

    /// <summary>Returns why the node's stream broke, or null when it ended well or the client went away.</summary>
    /// <param name="source">The node's response body.</param>
    /// <param name="response">To the client. Nothing was written to it if it has not started on return.</param>
    /// <param name="longestSilence">After this long without a byte the stream counts as broken.</param>
    /// <param name="time">Measures silence.</param>
    /// <param name="cancel">The client went away.</param>
    public static async Task<Exception?> CopyAsync(
        Stream source, HttpResponse response, TimeSpan longestSilence, TimeProvider time, CancellationToken cancel)
    {
        var buffer = new byte[BufferBytes];
        var betweenEvents = true;
        while (!cancel.IsCancellationRequested)
        {
            int read;
            try
            {
                read = await source.ReadAsync(buffer, cancel).AsTask().WaitAsync(longestSilence, time, cancel);
            }
            catch (Exception broken)
            {
                if (cancel.IsCancellationRequested)
                    return null;
                if (response.HasStarted)
                    await EndWithErrorAsync(response, betweenEvents, cancel);
                return broken;
            }

            if (read == 0)
                return null;
            await response.Body.WriteAsync(buffer.AsMemory(0, read), cancel);
            await response.Body.FlushAsync(cancel);
            betweenEvents = buffer.AsSpan(0, read).EndsWith(EndOfEvent);
        }

        return null;
    }

    private static async Task EndWithErrorAsync(HttpResponse response, bool betweenEvents, CancellationToken cancel)
    {
        var error = JsonSerializer.Serialize(
            ApiError.Internal("The node that served this request failed midway.").Body, ApiJson.Wire.ErrorBody);
        await response.WriteAsync($"{(betweenEvents ? "" : "\n\n")}data: {error}\n\ndata: [DONE]\n\n", cancel);
    }
}
