namespace Eigengate.Inference.Sampling;

/// <summary>One token and its natural-log probability under the raw model distribution (before temperature and filters).</summary>
public readonly record struct TokenLogprob(int TokenId, float Logprob);

/// <summary>What is reported about one position.</summary>
/// <param name="Chosen">The token that stands there.</param>
/// <param name="Rank">1-based rank of the chosen token among all tokens.</param>
/// <param name="Top">The most likely tokens, best first; may contain the chosen one, whose value is then bit-identical.</param>
public sealed record TokenLogprobs(TokenLogprob Chosen, int Rank, IReadOnlyList<TokenLogprob> Top);
