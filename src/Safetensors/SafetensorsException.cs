namespace Eigengate.Safetensors;

/// <summary>A file that is not valid safetensors. The message names the file, the tensor and what was expected.</summary>
public sealed class SafetensorsException : IOException
{
    public SafetensorsException(string source, string problem)
        : base($"{source}: {problem}")
    {
    }
}
