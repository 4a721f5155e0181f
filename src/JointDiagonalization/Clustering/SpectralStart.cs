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
        Tensor inverseRoot = affinity.sum(1).AtLeast(1e-300).rsqrt();
        Tensor laplacian = affinity * inverseRoot.unsqueeze(1) * inverseRoot.unsqueeze(0);
        Tensor embedding = TensorMath.LargestEigenvectors(laplacian.Plus(laplacian.t()).Times(0.5), clusters).Vectors;
        return KMeans.Assign(KMeans.Points(embedding / embedding.Squared().sum(1, keepdim: true).sqrt().AtLeast(1e-300)), clusters, seed);
    }
}
