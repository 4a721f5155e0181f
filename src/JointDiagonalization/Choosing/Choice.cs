namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>A setting that was chosen for an operator, and why.</summary>
public sealed record Choice
{
    public required ConsideredSetting Chosen { get; init; }

    /// <summary>Whether it is expected to meet the goal; otherwise it is the best that was considered.</summary>
    public required bool Reachable { get; init; }

    /// <summary>The chosen setting and the most telling others, by size.</summary>
    public required IReadOnlyList<ConsideredSetting> Considered { get; init; }

    /// <summary>How many settings were compared.</summary>
    public required int Compared { get; init; }

    /// <summary>Paths of the modules that were read.</summary>
    public required IReadOnlyList<string> SampledModules { get; init; }

    /// <summary>Modules of the whole collection.</summary>
    public required int Modules { get; init; }

    /// <summary>Why this one, in a few plain sentences.</summary>
    public required IReadOnlyList<string> Reasons { get; init; }
}
