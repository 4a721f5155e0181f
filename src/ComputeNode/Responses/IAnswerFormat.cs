using Eigengate.ComputeNode.Streaming;
using Microsoft.AspNetCore.Http;

namespace Eigengate.ComputeNode.Responses;

/// <summary>How an endpoint writes the answer to one request. Keeps what goes on from piece to piece.</summary>
internal interface IAnswerFormat
{
    /// <summary>A whole answer: all choices, finished, by index.</summary>
    Task WriteAsync(HttpResponse response, IReadOnlyList<ChoicePiece> choices, Usage usage, CancellationToken cancel);

    /// <summary>What a stream says of a choice before its first piece.</summary>
    /// <param name="events">The stream.</param>
    /// <param name="index">The choice.</param>
    /// <param name="usage">Sent along unless null.</param>
    /// <param name="cancel">The client left.</param>
    Task WriteStartAsync(SseWriter events, int index, Usage? usage, CancellationToken cancel);

    Task WritePieceAsync(SseWriter events, ChoicePiece piece, Usage? usage, CancellationToken cancel);

    /// <summary>The event without choices that ends a stream.</summary>
    Task WriteUsageAsync(SseWriter events, Usage usage, CancellationToken cancel);
}

/// <summary>What every body and event of one answer repeats.</summary>
/// <param name="RequestId">The response id without the endpoint's prefix.</param>
/// <param name="Model">Public name of what answers.</param>
/// <param name="Created">Unix seconds.</param>
internal sealed record AnswerHeader(string RequestId, string Model, long Created);
