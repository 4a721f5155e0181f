namespace Eigengate.Inference;

/// <summary>A sequence that ended because a step failed; others went on. The reason is the inner exception.</summary>
public sealed class GenerationFailedException(string requestId, Exception reason)
    : Exception($"request '{requestId}' failed: {reason.Message}", reason);
