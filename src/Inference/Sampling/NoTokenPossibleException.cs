namespace Eigengate.Inference.Sampling;

/// <summary>A text that must go on to satisfy its constraint cannot, because of the request's other fields.</summary>
/// <param name="tokens">How many tokens had been generated.</param>
public sealed class NoTokenPossibleException(int tokens) : Exception(
    $"after {tokens} tokens the output constraint allows no token that allowed_token_ids, bad_words, logit_bias and stop_token_ids leave");
