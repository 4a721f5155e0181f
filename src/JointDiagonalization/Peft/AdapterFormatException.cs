namespace Eigengate.JointDiagonalization.Peft;

/// <summary>An adapter or base folder that cannot be used. The message names the folder, the file, field or tensor, and what was expected.</summary>
public sealed class AdapterFormatException : IOException
{
    public AdapterFormatException(string adapter, string problem, Exception? cause = null)
        : this("adapter", adapter, problem, cause)
    {
    }

    private AdapterFormatException(string kind, string name, string problem, Exception? cause)
        : base($"{kind} '{name}': {problem}", cause)
    {
        Adapter = name;
        Problem = problem;
    }

    /// <summary>Name of the adapter, or of the base model's folder.</summary>
    public string Adapter { get; }

    /// <summary>The message without the name.</summary>
    public string Problem { get; }

    internal static AdapterFormatException ForBase(string model, string problem, Exception? cause) => new("base model", model, problem, cause);
}
