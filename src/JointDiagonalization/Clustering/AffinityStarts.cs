using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>Assignments of some modules' products to any number of clusters, from one affinity matrix (spec/joint-diagonalization.md §5).</summary>
internal sealed class AffinityStarts : IDisposable
{
    private readonly int _adapters;
    private readonly int[] _active;
    private readonly Tensor _directions;

    /// <param name="adapters">Adapters of the collection; owners are below it.</param>
    /// <param name="modules">Products of a sample of modules.</param>
    internal AffinityStarts(int adapters, IReadOnlyList<CanonicalFactors> modules)
    {
        _adapters = adapters;
        _active = [.. modules.SelectMany(m => m.Owners).Distinct().Order()];
        using var scope = NewDisposeScope();
        using var sums = new Affinity(_active);
        foreach (CanonicalFactors module in modules)
            sums.Add(module);
        _directions = SpectralStart.Directions(sums.Normalised(), _active.Length).DetachFromDisposeScope();
    }

    /// <summary>Adapters with a product in the sample.</summary>
    internal int Active => _active.Length;

    /// <param name="clusters">At most <see cref="Active"/>.</param>
    /// <param name="seed">Of k-means.</param>
    /// <returns>Cluster of every adapter; those without a product in the sample are in cluster 0, where they count for nothing.</returns>
    internal int[] Assign(int clusters, ulong seed)
    {
        int[] assignment = new int[_adapters];
        if (clusters == 1)
            return assignment;
        using Tensor leading = _directions.narrow(1, 0, clusters);
        int[] ofActive = SpectralStart.Assign(leading, seed);
        for (int i = 0; i < ofActive.Length; i++)
            assignment[_active[i]] = ofActive[i];
        return assignment;
    }

    public void Dispose() => _directions.Dispose();
}
