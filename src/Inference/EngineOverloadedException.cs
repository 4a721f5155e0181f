namespace Eigengate.Inference;

/// <summary>The waiting queue is full, or the engine is shutting down. Nothing was started.</summary>
public sealed class EngineOverloadedException(string message) : Exception(message);
