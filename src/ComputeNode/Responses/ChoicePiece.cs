using Eigengate.Inference.Sampling;

namespace Eigengate.ComputeNode.Responses;

/// <summary>What one choice has gained: since the last piece in a stream, or altogether. Not yet in any endpoint's form.</summary>
internal sealed record ChoicePiece
{
    public required int Index { get; init; }

    public required string Text { get; init; }

    /// <summary>The tokens behind it with their scores; null when log-probabilities were not asked for.</summary>
    public IReadOnlyList<ScoredToken>? Tokens { get; init; }

    /// <summary>As on the wire (spec/http-api.md §7.4); null while the choice grows.</summary>
    public string? FinishReason { get; init; }

    public StopReason? StopReason { get; init; }

    /// <summary>Generated ids, when asked for.</summary>
    public IReadOnlyList<int>? TokenIds { get; init; }

    /// <summary>The prompt's ids, when asked for, in the first piece only.</summary>
    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    public IReadOnlyList<IReadOnlyDictionary<string, PromptLogprob>?>? PromptLogprobs { get; init; }
}

/// <summary>A token of a choice; its scores are null where there is no context to score from.</summary>
internal readonly record struct ScoredToken(int Id, TokenLogprobs? Scores);
