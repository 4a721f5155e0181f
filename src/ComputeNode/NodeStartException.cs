namespace Eigengate.ComputeNode;

/// <summary>The node cannot start. The message names the option, folder or file and what was expected; nothing was announced.</summary>
public sealed class NodeStartException(string message, Exception? cause = null) : Exception(message, cause);
