using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization;

public enum CompressionStage
{
    /// <summary>Opening adapters: one step each.</summary>
    Reading,

    /// <summary>Reading a sample of modules, one step each, and trying settings on it.</summary>
    Choosing,

    /// <summary>Measuring the adapters on a published bundle: one module each.</summary>
    Comparing,

    /// <summary>Told once, when an unfinished run was found: its finished modules are taken over, or it is removed.</summary>
    Resuming,

    /// <summary>Reading modules for the assignment, one step each, then rounds of moves.</summary>
    Clustering,

    /// <summary>Fitting modules: one step each.</summary>
    Fitting,

    /// <summary>Trying other ranks and clusters for the report: one step per module and number of clusters.</summary>
    Surveying,

    /// <summary>Writing the bundle's files.</summary>
    Writing,
}

/// <summary>How far a run is.</summary>
/// <param name="Stage">What is being done.</param>
/// <param name="Done">Finished steps of this stage.</param>
/// <param name="Total">All steps of this stage.</param>
/// <param name="Detail">The adapter, module or round just finished.</param>
/// <param name="RelSqError">Mean relative squared error of what the step fitted, where it fitted something.</param>
public sealed record CompressionProgress(CompressionStage Stage, int Done, int Total, string Detail, double? RelSqError = null);

/// <summary>An adapter left out of a bundle, and why.</summary>
public sealed record SkippedAdapter(string Id, string Reason);

/// <summary>What a run wrote.</summary>
public sealed record CompressionResult(BundleManifest Manifest, CompressionReport Report, IReadOnlyList<SkippedAdapter> Skipped)
{
    /// <summary>Sentences that the operator should read: what was continued, and where the input changed what the settings mean.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
