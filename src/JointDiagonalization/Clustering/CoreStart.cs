using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// The paper's start: one basis for all, then k-means on the cores, here on their principal components
/// (spec/joint-diagonalization.md §5). It separates what differs inside one subspace, where affinity sees no difference.
/// </summary>
internal static class CoreStart
{
    private const int Components = 64;

    /// <summary>Cluster of each active adapter.</summary>
    internal static int[] Assign(int[] active, IReadOnlyList<CanonicalFactors> modules, int clusters, JointDiagonalizer diagonalizer, ulong seed)
    {
        using var scope = NewDisposeScope();
        var placeOf = active.Index().ToDictionary(a => a.Item, a => (long)a.Index);
        Tensor gram = zeros([active.Length, active.Length], ScalarType.Float64);
        foreach (CanonicalFactors module in modules.Where(m => m.Count > 0))
        {
            using var moduleScope = NewDisposeScope();
            using Fitting.JointFit fit = diagonalizer.Fit(module);
            Tensor z = ReconstructionError.Projected(module.F, fit.Basis.U, module), w = ReconstructionError.Projected(module.G, fit.Basis.V, module);
            Tensor cores = z.transpose(1, 2).bmm(w).view(module.Count, -1);
            Tensor owners = tensor(module.Owners.Select(o => placeOf[o]).ToArray());
            Tensor rows = zeros([module.Count, active.Length], ScalarType.Float64).index_copy_(1, owners, cores.mm(cores.t()).cpu());
            gram.AddRows(owners, rows);
        }

        int components = Math.Min(Components, active.Length);
        var (vectors, values) = TensorMath.LargestEigenvectors(gram, components);
        Tensor points = vectors * tensor(values[..components]).AtLeast(0).sqrt();
        return KMeans.Assign(KMeans.Points(points), clusters, seed);
    }
}
