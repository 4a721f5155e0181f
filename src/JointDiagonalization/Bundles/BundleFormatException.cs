namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>A bundle, or a core blob taken from one, that cannot be used. The message names the file and what was expected.</summary>
public sealed class BundleFormatException : IOException
{
    public BundleFormatException(string file, string problem, Exception? cause = null)
        : base($"{file}: {problem}", cause)
    {
    }
}
