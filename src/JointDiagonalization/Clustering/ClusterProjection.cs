using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// Keeps p leading HOSVD directions per side of a module, so that all modules fit in memory during the assignment; sides
/// of p dimensions or fewer are kept without loss (spec/joint-diagonalization.md §6 "Projection for large k").
/// </summary>
internal static class ClusterProjection
{
    /// <summary>8r suits one basis; C clusters together span up to C·r directions.</summary>
    internal static int Dimensions(int rank, int clusters) => rank * Math.Max(8, 2 * clusters);

    internal static CanonicalFactors Shrink(CanonicalFactors factors, int dimensions, ulong seed)
    {
        using var scope = NewDisposeScope();
        if (factors.Count == 0)
            return factors.Project(null, null);
        using var reduction = new ExactReduction(factors);
        CanonicalFactors reduced = reduction.Factors;
        Tensor? f = reduced.OutFeatures > dimensions ? HigherOrderSvd.OutputSide(reduced, dimensions, seed).Basis : null;
        Tensor? g = reduced.InFeatures > dimensions ? HigherOrderSvd.InputSide(reduced, dimensions, seed).Basis : null;
        return reduced.Project(f, g);
    }
}
