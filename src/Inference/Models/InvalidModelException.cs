namespace Eigengate.Inference.Models;

/// <summary>A model directory that cannot be served. The message names the file, the key or tensor, and what was expected.</summary>
public sealed class InvalidModelException : IOException
{
    public InvalidModelException(string message)
        : base(message)
    {
    }

    public InvalidModelException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
