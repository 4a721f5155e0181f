namespace Eigengate.JointDiagonalization.Reports;

/// <summary>
/// What other ranks and numbers of clusters would reach: JD-Full fits on a sample of modules (the figure of the paper's
/// appendix F), and how fast the energy of both sides falls there.
/// </summary>
public sealed record ErrorSurvey
{
    /// <summary>Paths of the sampled modules.</summary>
    public required string[] Modules { get; init; }

    /// <summary>Adapters looked at; fewer than all in a large collection.</summary>
    public required int Adapters { get; init; }

    /// <summary>By number of clusters, then by rank, both rising.</summary>
    public required SurveyPoint[] Points { get; init; }

    public required SurveySpectrum[] Spectra { get; init; }
}

/// <summary>Fits of one rank and number of clusters.</summary>
/// <param name="Clusters">Number of clusters.</param>
/// <param name="Rank">[r_U, r_V], upper limits.</param>
/// <param name="RelSqError">Mean relative squared error over the sampled products.</param>
/// <param name="ParametersSaved">1 − (numbers in bases and cores) / (numbers in A and B), of the sample.</param>
public sealed record SurveyPoint(int Clusters, int[] Rank, double RelSqError, double ParametersSaved);

/// <summary>Tail energy of one module's unit products with one cluster: the share that no basis of that width can keep.</summary>
/// <param name="Module">Path.</param>
/// <param name="Ranks">Basis ranks, rising.</param>
/// <param name="TailU">Share of Σ M̂M̂ᵀ beyond each rank, 0 to 1.</param>
/// <param name="TailV">Share of Σ M̂ᵀM̂ beyond each rank.</param>
public sealed record SurveySpectrum(string Module, int[] Ranks, double[] TailU, double[] TailV);
