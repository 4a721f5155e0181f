namespace Eigengate.AdapterCache;

/// <summary>The server of the index did not answer. The message names its address.</summary>
public sealed class IndexUnavailableException : IOException
{
    public IndexUnavailableException(string message, Exception? inner = null) : base(message, inner)
    {
    }
}
