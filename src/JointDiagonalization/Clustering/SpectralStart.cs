using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>Normalised-Laplacian spectral embedding of an affinity matrix, then k-means++ (spec/joint-diagonalization.md §5).</summary>
internal static class SpectralStart
{
    /// <param name="affinity">[n, n], symmetric, float64.</param>
    /// <param name="clusters">C</param>
    /// <param name="seed">Of k-means.</param>
    internal static int[] Assign(Tensor affinity, int clusters, ulong seed)
    {
        using var scope = NewDisposeScope();
        return Assign(Directions(affinity, clusters), seed);
    }

    /// <summary>Leading eigenvectors of the normalised Laplacian's complement, [n, count]; those of fewer clusters come first.</summary>
    internal static Tensor Directions(Tensor affinity, int count)
    {
        using var scope = NewDisposeScope();
        Tensor inverseRoot = affinity.sum(1).AtLeast(1e-300).rsqrt();
        Tensor laplacian = affinity * inverseRoot.unsqueeze(1) * inverseRoot.unsqueeze(0);
        return TensorMath.LargestEigenvectors(laplacian.Plus(laplacian.t()).Times(0.5), count).Vectors.MoveToOuterDisposeScope();
    }

    /// <summary>k-means on the rows of as many directions as there shall be clusters, each row brought to norm 1.</summary>
    internal static int[] Assign(Tensor directions, ulong seed)
    {
        using var scope = NewDisposeScope();
        Tensor unit = directions / directions.Squared().sum(1, keepdim: true).sqrt().AtLeast(1e-300);
        return KMeans.Assign(KMeans.Points(unit), (int)directions.shape[1], seed);
    }
}
