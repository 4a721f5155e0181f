namespace Eigengate.JointDiagonalization.Placement;

/// <summary>Where a new adapter fits best on a published bundle, and how well.</summary>
/// <param name="Adapter">Its id.</param>
/// <param name="Cluster">The cluster of least error, for all modules.</param>
/// <param name="RelSqError">Mean relative squared error of its non-zero products on that cluster; 0 is lossless, 1 is nothing kept; a merged bundle may do worse.</param>
/// <param name="Modules">The error per module. Zero products are not listed.</param>
/// <param name="WithoutBasis">Modules for which that cluster has no basis and the bundle no private residual: nothing of them is kept, which counts as an error of 1.</param>
public sealed record AdapterPlacement(
    string Adapter, int Cluster, double RelSqError, SortedDictionary<string, double> Modules, IReadOnlyList<string> WithoutBasis)
{
    /// <summary>Whether the adapter may be served compressed; otherwise exactly, until the next recompression.</summary>
    public bool IsWithin(double threshold) => RelSqError <= threshold;
}
