namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>A regular expression, schema or grammar that is broken, too large, or asks for what cannot be enforced; the message names it.</summary>
public sealed class ConstraintException(string message) : Exception(message);
