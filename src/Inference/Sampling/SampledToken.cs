namespace Eigengate.Inference.Sampling;

/// <summary>One drawn token.</summary>
/// <param name="TokenId">Its id.</param>
/// <param name="Logprobs">When the sequence asked for them.</param>
/// <param name="Ends">It ends the sequence whatever else holds: the text satisfies its constraint and nothing can follow.</param>
public readonly record struct SampledToken(int TokenId, TokenLogprobs? Logprobs, bool Ends = false);
