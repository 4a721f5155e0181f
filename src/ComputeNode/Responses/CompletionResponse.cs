using System.Text.Json.Serialization;

namespace Eigengate.ComputeNode.Responses;

/// <summary>Body of a non-streaming completion (spec/http-api.md §5.3): every documented key, null where there is no value.</summary>
internal sealed record CompletionResponse
{
    public required string Id { get; init; }

    public string Object { get; init; } = "text_completion";

    /// <summary>Unix seconds.</summary>
    public required long Created { get; init; }

    /// <summary>Resolved public name: the adapter's, else the base's.</summary>
    public required string Model { get; init; }

    /// <summary>Prompt-major: index = prompt × n + sample.</summary>
    public required IReadOnlyList<CompletionChoice> Choices { get; init; }

    public string? ServiceTier { get; init; }

    public string? SystemFingerprint { get; init; }

    public required Usage Usage { get; init; }

    public string? KvTransferParams { get; init; }

    public string? EcTransferParams { get; init; }

    public string? Metrics { get; init; }
}

internal sealed record CompletionChoice
{
    public required int Index { get; init; }

    public required string Text { get; init; }

    public CompletionLogprobs? Logprobs { get; init; }

    public required string FinishReason { get; init; }

    public StopReason? StopReason { get; init; }

    public IReadOnlyList<int>? TokenIds { get; init; }

    public IReadOnlyList<IReadOnlyDictionary<string, PromptLogprob>?>? PromptLogprobs { get; init; }

    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    public string? RoutedExperts { get; init; }
}

/// <summary>One streamed event (§5.4): exactly one choice, or none in the closing usage event.</summary>
internal sealed record CompletionChunk
{
    public required string Id { get; init; }

    public string Object { get; init; } = "text_completion";

    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<CompletionChunkChoice> Choices { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }
}

internal sealed record CompletionChunkChoice
{
    public required int Index { get; init; }

    public required string Text { get; init; }

    public CompletionLogprobs? Logprobs { get; init; }

    public string? FinishReason { get; init; }

    public StopReason? StopReason { get; init; }

    /// <summary>Only in the first chunk of an index, when asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    /// <summary>The ids behind this chunk's text, when asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }
}

/// <summary>Token counts. Every prompt counts once, however many choices it has; the token that ends a choice counts.</summary>
internal sealed record Usage(int PromptTokens, int TotalTokens, int CompletionTokens)
{
    /// <summary>Null unless the node was told to report it.</summary>
    public PromptTokensDetails? PromptTokensDetails { get; init; }

    public string? CompletionTokensDetails { get; init; }

    public static Usage Of(int promptTokens, int completionTokens) => new(promptTokens, promptTokens + completionTokens, completionTokens);
}

/// <param name="CachedTokens">Prompt tokens that were not computed, because the prefix cache had them.</param>
internal sealed record PromptTokensDetails(int CachedTokens);

/// <summary>Four arrays of equal length, one entry per token (§5.5). The first prompt token has no context, so null.</summary>
internal sealed record CompletionLogprobs(
    IReadOnlyList<int> TextOffset,
    IReadOnlyList<float?> TokenLogprobs,
    IReadOnlyList<string> Tokens,
    IReadOnlyList<IReadOnlyDictionary<string, float>?> TopLogprobs);

/// <summary>One candidate for a prompt position: <paramref name="Rank"/> is 1-based.</summary>
internal sealed record PromptLogprob(float Logprob, int Rank, string DecodedToken);
