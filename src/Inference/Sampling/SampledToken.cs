namespace Eigengate.Inference.Sampling;

/// <summary>One drawn token.</summary>
/// <param name="TokenId">Its id.</param>
/// <param name="Logprobs">When the sequence asked for them.</param>
public readonly record struct SampledToken(int TokenId, TokenLogprobs? Logprobs);
