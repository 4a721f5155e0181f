namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>Settings of the assignment of adapters to clusters.</summary>
public sealed record ClusterOptions
{
    public required int Clusters { get; init; }

    public required int RankU { get; init; }

    public required int RankV { get; init; }

    public ulong Seed { get; init; }

    /// <summary>Cluster of every adapter to start from, instead of searching for starts; the numbers are kept.</summary>
    public int[]? Start { get; init; }

    internal const int DefaultMaxRounds = 30;

    public int MaxRounds { get; init; } = DefaultMaxRounds;

    /// <summary>Iterations of every refit between moves; bases start from the previous round's.</summary>
    public int IterationsPerRound { get; init; } = 3;
}

/// <summary>Which cluster serves each adapter, in all modules.</summary>
/// <param name="ClusterOf">Cluster of each adapter, numbered by first appearance.</param>
/// <param name="Clusters">Number of clusters in use; less than asked for when there are fewer adapters.</param>
/// <param name="Objective">Summed relative squared error that the assignment reached on the data it was given.</param>
/// <param name="Trace">Objective after the start and after each accepted round.</param>
/// <param name="Start">Name of the start that won: "affinity", "balanced", "cores", "given", or "single".</param>
public sealed record ClusterAssignment(int[] ClusterOf, int Clusters, double Objective, IReadOnlyList<double> Trace, string Start);
