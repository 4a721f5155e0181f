using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Streaming;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Tokenization;
using Microsoft.AspNetCore.Http;

namespace Eigengate.ComputeNode.Responses;

/// <summary>Answers of <c>/v1/chat/completions</c> (spec/http-api.md §6.2–6.4).</summary>
internal sealed class ChatFormat(GenerationPlan plan, AnswerHeader header, Tokenizer tokenizer) : IAnswerFormat
{
    private readonly string _id = $"chatcmpl-{header.RequestId}";
    private readonly TokenName _names = new(tokenizer, plan.Fields.ReturnTokensAsTokenIds);

    public Task WriteAsync(HttpResponse response, IReadOnlyList<ChoicePiece> choices, Usage usage, CancellationToken cancel)
    {
        var body = new ChatResponse
        {
            Id = _id,
            Created = header.Created,
            Model = header.Model,
            Choices = [.. choices.Select(Whole)],
            Usage = usage,
            PromptLogprobs = choices[0].PromptLogprobs,
            PromptTokenIds = choices[0].PromptTokenIds,
        };
        return response.WriteAsJsonAsync(body, NodeJson.Wire.ChatResponse, cancellationToken: cancel);
    }

    public Task WriteStartAsync(SseWriter events, int index, Usage? usage, CancellationToken cancel)
    {
        var role = new ChatChunkChoice { Index = index, Delta = new ChatDelta(ChatMessage.Assistant, "") };
        IReadOnlyList<int>? prompt = plan.Fields.ReturnTokenIds ? plan.PromptOf(index).TokenIds : null;
        return WriteAsync(events, Chunk([role], usage) with { PromptTokenIds = prompt }, cancel);
    }

    public Task WritePieceAsync(SseWriter events, ChoicePiece piece, Usage? usage, CancellationToken cancel) =>
        WriteAsync(events, Chunk([Part(piece)], usage), cancel);

    public Task WriteUsageAsync(SseWriter events, Usage usage, CancellationToken cancel) => WriteAsync(events, Chunk([], usage), cancel);

    private static Task WriteAsync(SseWriter events, ChatChunk chunk, CancellationToken cancel) => events.WriteAsync(chunk, NodeJson.Wire.ChatChunk, cancel);

    private ChatChunk Chunk(IReadOnlyList<ChatChunkChoice> choices, Usage? usage) =>
        new() { Id = _id, Created = header.Created, Model = header.Model, Choices = choices, Usage = usage };

    private ChatChoice Whole(ChoicePiece choice) => new()
    {
        Index = choice.Index,
        Message = new AnswerMessage(choice.Text),
        Logprobs = LogprobsOf(choice),
        FinishReason = choice.FinishReason ?? throw new InvalidOperationException($"choice {choice.Index} is not finished"),
        StopReason = choice.StopReason,
        TokenIds = choice.TokenIds,
    };

    private ChatChunkChoice Part(ChoicePiece piece) => new()
    {
        Index = piece.Index,
        Delta = new ChatDelta(null, piece.Text),
        Logprobs = LogprobsOf(piece),
        FinishReason = piece.FinishReason,
        StopReason = piece.StopReason,
        TokenIds = piece.TokenIds,
    };

    private ChatLogprobs? LogprobsOf(ChoicePiece piece) => piece.Tokens is { } tokens ? new ChatLogprobs([.. tokens.Select(Entry)]) : null;

    private ChatLogprob Entry(ScoredToken token)
    {
        TokenLogprobs scores = token.Scores ?? throw new InvalidOperationException($"token {token.Id} has no scores");
        IEnumerable<TokenLogprob> top = scores.Top.Take(plan.Fields.Logprobs!.Value);
        return new ChatLogprob(
            _names.Of(token.Id), scores.Chosen.Logprob, BytesOf(token.Id),
            [.. top.Select(candidate => new ChatCandidate(_names.Of(candidate.TokenId), candidate.Logprob, BytesOf(candidate.TokenId)))]);
    }

    private int[] BytesOf(int tokenId) => [.. tokenizer.TokenBytes(tokenId).ToArray().Select(value => (int)value)];
}
