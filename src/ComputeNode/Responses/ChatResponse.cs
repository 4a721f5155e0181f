using System.Text.Json.Serialization;
using Eigengate.ComputeNode.Requests;

namespace Eigengate.ComputeNode.Responses;

/// <summary>Body of a non-streaming chat answer (spec/http-api.md §6.2): every documented key, null where there is no value.</summary>
internal sealed record ChatResponse
{
    public required string Id { get; init; }

    public string Object { get; init; } = "chat.completion";

    /// <summary>Unix seconds.</summary>
    public required long Created { get; init; }

    /// <summary>Resolved public name: the adapter's, else the base's.</summary>
    public required string Model { get; init; }

    public required IReadOnlyList<ChatChoice> Choices { get; init; }

    public string? ServiceTier { get; init; }

    public string? SystemFingerprint { get; init; }

    public required Usage Usage { get; init; }

    public IReadOnlyList<IReadOnlyDictionary<string, PromptLogprob>?>? PromptLogprobs { get; init; }

    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    public string? PromptText { get; init; }

    public string? KvTransferParams { get; init; }

    public string? EcTransferParams { get; init; }

    public string? Metrics { get; init; }
}

internal sealed record ChatChoice
{
    public required int Index { get; init; }

    public required AnswerMessage Message { get; init; }

    public ChatLogprobs? Logprobs { get; init; }

    public required string FinishReason { get; init; }

    public StopReason? StopReason { get; init; }

    public IReadOnlyList<int>? TokenIds { get; init; }

    public string? RoutedExperts { get; init; }
}

/// <summary>What the model says. Only the first two keys ever have a value here.</summary>
internal sealed record AnswerMessage(string Content)
{
    [JsonPropertyOrder(-1)]
    public string Role { get; init; } = ChatMessage.Assistant;

    public string? Refusal { get; init; }

    public string? Annotations { get; init; }

    public string? Audio { get; init; }

    public string? FunctionCall { get; init; }

    public string? Reasoning { get; init; }
}

/// <summary>One streamed event (§6.4): exactly one choice, or none in the closing usage event.</summary>
internal sealed record ChatChunk
{
    public required string Id { get; init; }

    public string Object { get; init; } = "chat.completion.chunk";

    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<ChatChunkChoice> Choices { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }

    /// <summary>Only in the first chunk of an index, when asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? PromptTokenIds { get; init; }
}

internal sealed record ChatChunkChoice
{
    public required int Index { get; init; }

    public required ChatDelta Delta { get; init; }

    public ChatLogprobs? Logprobs { get; init; }

    public string? FinishReason { get; init; }

    public StopReason? StopReason { get; init; }

    /// <summary>The ids behind this chunk's text, when asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }
}

/// <summary>The role comes once, before any text.</summary>
internal sealed record ChatDelta(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Role,
    string Content);

/// <summary>One entry per generated token (§6.3), the token that ends the choice included.</summary>
internal sealed record ChatLogprobs(IReadOnlyList<ChatLogprob> Content);

/// <param name="Token">Its text; U+FFFD stands for partial characters.</param>
/// <param name="Logprob">Log-probability.</param>
/// <param name="Bytes">What it really adds to the text.</param>
/// <param name="TopLogprobs">The most likely tokens, best first.</param>
internal sealed record ChatLogprob(string Token, float Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatCandidate> TopLogprobs);

internal sealed record ChatCandidate(string Token, float Logprob, IReadOnlyList<int> Bytes);
