namespace Eigengate.Inference.Adapters;

/// <summary>A basis or adapter that does not fit the base model or its cluster. The message names the module and what was expected.</summary>
public sealed class InvalidAdapterException(string message) : Exception(message);
