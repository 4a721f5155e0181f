using System.Diagnostics;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;

namespace Eigengate.Inference;

/// <summary>One prompt to continue: one sequence. A client request with n choices or several prompts makes several.</summary>
/// <param name="Id">Unique among the running sequences; appears in logs.</param>
/// <param name="PromptIds">Token ids, at least one, all inside the vocabulary; with MaxTokens within the context length.</param>
/// <param name="Sampling">Sampling and stopping.</param>
/// <param name="Adapter">The adapter version to run with, or null for the base model alone. Held resident until the sequence ends.</param>
/// <param name="Priority">Waiting requests with smaller numbers start earlier.</param>
/// <param name="Caller">Whose request it is: callers that wait at once get equal shares, and so do the adapters of one caller. Null is one caller too.</param>
public sealed record GenerationRequest(
    string Id, IReadOnlyList<int> PromptIds, SamplingParams Sampling, ResidentAdapter? Adapter = null, int Priority = 0, string? Caller = null)
{
    /// <summary>When it came, as a <see cref="Stopwatch"/> timestamp: waiting is counted from here.</summary>
    public long Arrived { get; init; } = Stopwatch.GetTimestamp();
}

public enum FinishReason
{
    /// <summary>EOS, a stop id or a stop string.</summary>
    Stop,

    /// <summary>MaxTokens or the context length.</summary>
    Length,

    /// <summary>Ended by shutdown or cancellation.</summary>
    Abort,
}

/// <summary>What a sequence reports while it runs, in order: at most one PromptScored, tokens, one GenerationFinished.</summary>
public abstract record GenerationEvent;

/// <summary>One entry per prompt token; the first is null because it has no context.</summary>
public sealed record PromptScored(IReadOnlyList<TokenLogprobs?> Tokens) : GenerationEvent;

/// <summary>One generated token.</summary>
/// <param name="TokenId">Its id; the token that ends the sequence (EOS, stop id) is reported too.</param>
/// <param name="Text">New text that is safe to show: never half a character, never the start of a possible stop string. Often empty.</param>
/// <param name="Logprobs">When asked for.</param>
public sealed record TokenGenerated(int TokenId, string Text, TokenLogprobs? Logprobs) : GenerationEvent;

/// <summary>The end.</summary>
/// <param name="Text">Text held back until now.</param>
/// <param name="Reason">Why it ended.</param>
/// <param name="StopTokenId">The stop id that ended it, unless it was the primary EOS.</param>
/// <param name="StopString">The stop string that ended it.</param>
public sealed record GenerationFinished(string Text, FinishReason Reason, int? StopTokenId = null, string? StopString = null) : GenerationEvent
{
    /// <summary>Leading prompt tokens that were found in the prefix cache when the sequence first ran.</summary>
    public int CachedPromptTokens { get; init; }
}
