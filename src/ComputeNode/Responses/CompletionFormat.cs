using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Streaming;
using Eigengate.Inference.Tokenization;
using Microsoft.AspNetCore.Http;

namespace Eigengate.ComputeNode.Responses;

/// <summary>Answers of <c>/v1/completions</c> (spec/http-api.md §5.3–5.5).</summary>
internal sealed class CompletionFormat(GenerationPlan plan, AnswerHeader header, Tokenizer tokenizer) : IAnswerFormat
{
    private readonly string _id = $"cmpl-{header.RequestId}";

    // One per choice: text offsets go on from piece to piece.
    private readonly CompletionLogprobsBuilder[] _logprobs =
    [
        .. Enumerable.Range(0, plan.Sequences).Select(_ => new CompletionLogprobsBuilder(tokenizer, plan.Fields.Logprobs ?? 0, plan.Fields.ReturnTokensAsTokenIds)),
    ];

    public Task WriteAsync(HttpResponse response, IReadOnlyList<ChoicePiece> choices, Usage usage, CancellationToken cancel)
    {
        var body = new CompletionResponse { Id = _id, Created = header.Created, Model = header.Model, Choices = [.. choices.Select(Whole)], Usage = usage };
        return response.WriteAsJsonAsync(body, NodeJson.Wire.CompletionResponse, cancellationToken: cancel);
    }

    public Task WriteStartAsync(SseWriter events, int index, Usage? usage, CancellationToken cancel) => Task.CompletedTask;

    public Task WritePieceAsync(SseWriter events, ChoicePiece piece, Usage? usage, CancellationToken cancel) =>
        WriteAsync(events, [Part(piece)], usage, cancel);

    public Task WriteUsageAsync(SseWriter events, Usage usage, CancellationToken cancel) => WriteAsync(events, [], usage, cancel);

    private Task WriteAsync(SseWriter events, IReadOnlyList<CompletionChunkChoice> choices, Usage? usage, CancellationToken cancel)
    {
        var chunk = new CompletionChunk { Id = _id, Created = header.Created, Model = header.Model, Choices = choices, Usage = usage };
        return events.WriteAsync(chunk, NodeJson.Wire.CompletionChunk, cancel);
    }

    private CompletionChoice Whole(ChoicePiece choice) => new()
    {
        Index = choice.Index,
        Text = choice.Text,
        Logprobs = LogprobsOf(choice),
        FinishReason = choice.FinishReason ?? throw new InvalidOperationException($"choice {choice.Index} is not finished"),
        StopReason = choice.StopReason,
        TokenIds = choice.TokenIds,
        PromptTokenIds = choice.PromptTokenIds,
        PromptLogprobs = choice.PromptLogprobs,
    };

    private CompletionChunkChoice Part(ChoicePiece piece) => new()
    {
        Index = piece.Index,
        Text = piece.Text,
        Logprobs = LogprobsOf(piece),
        FinishReason = piece.FinishReason,
        StopReason = piece.StopReason,
        TokenIds = piece.TokenIds,
        PromptTokenIds = piece.PromptTokenIds,
    };

    private CompletionLogprobs? LogprobsOf(ChoicePiece piece)
    {
        if (piece.Tokens is not { } tokens)
            return null;
        foreach (ScoredToken token in tokens)
            _logprobs[piece.Index].Add(token.Id, token.Scores);
        return _logprobs[piece.Index].Take();
    }
}
