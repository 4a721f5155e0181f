using Eigengate.Inference.Sampling.Constraints;

namespace Eigengate.Inference.Sampling;

/// <summary>
/// How the tokens of one sequence are chosen and when it ends (spec/http-api.md §5.1, §7). Values are validated by the
/// caller; null or the neutral value switches a step off.
/// </summary>
public sealed record SamplingParams
{
    /// <summary>Upper bound of generated tokens; 0 scores the prompt only.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>At least this many tokens before EOS, a stop id or a stop string may end the sequence.</summary>
    public int MinTokens { get; init; }

    /// <summary>Below 1e-5 the most likely token is taken.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Keep the smallest set of tokens whose probability reaches this; 1 is off.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Keep the k most likely tokens; 0 is off.</summary>
    public int TopK { get; init; }

    /// <summary>Drop tokens less likely than this fraction of the most likely one; 0 is off.</summary>
    public float MinP { get; init; }

    public float PresencePenalty { get; init; }

    public float FrequencyPenalty { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens seen in prompt or output; 1 is off.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Token id to additive bias.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>When set, no other token can be produced.</summary>
    public IReadOnlyList<int>? AllowedTokenIds { get; init; }

    /// <summary>Token sequences that must not appear in the output.</summary>
    public IReadOnlyList<int[]> BadWords { get; init; } = [];

    /// <summary>What the text must satisfy; null for free text. EOS and stop ids are possible only where it does.</summary>
    public TokenMasks? Constraint { get; init; }

    /// <summary>Seed of this sequence's random numbers; null draws a fresh one.</summary>
    public long? Seed { get; init; }

    /// <summary>Texts that end the sequence when they appear in the decoded output.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    public bool IncludeStopInOutput { get; init; }

    public bool IgnoreEos { get; init; }

    public bool SkipSpecialTokens { get; init; } = true;

    /// <summary>Number of most likely tokens reported with each generated token; null reports none, 0 the chosen one only.</summary>
    public int? Logprobs { get; init; }

    /// <summary>Number of most likely tokens reported for each prompt token; null reports none.</summary>
    public int? PromptLogprobs { get; init; }

    public bool Greedy => Temperature < 1e-5f;
}
