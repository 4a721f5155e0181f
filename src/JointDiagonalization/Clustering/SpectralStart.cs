using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>Normalised-Laplacian spectral embedding of an affinity matrix, then k-means++ (spec/joint-diagonalization.md §5).</summary>
internal static class SpectralStart
{
    internal static int[] Assign(double[,] affinity, int clusters, ulong seed)
    {
        int n = affinity.GetLength(0);
        using var scope = NewDisposeScope();
        Tensor a = tensor(affinity);
        Tensor inverseRoot = a.sum(1).clamp_min(TensorMath.Tiny).rsqrt();
        Tensor laplacian = a * inverseRoot.unsqueeze(1) * inverseRoot.unsqueeze(0);
        Tensor embedding = TensorMath.LargestEigenvectors((laplacian + laplacian.t()) * TensorMath.Half, clusters).Vectors;
        embedding = embedding / embedding.square().sum(1, keepdim: true).sqrt().clamp_min(TensorMath.Tiny);
        double[] flat = embedding.ToDoubles();
        double[][] points = [.. Enumerable.Range(0, n).Select(i => flat[(i * clusters)..((i + 1) * clusters)])];
        return KMeans.Assign(points, clusters, seed);
    }
}
