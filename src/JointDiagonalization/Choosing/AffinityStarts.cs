using Eigengate.JointDiagonalization.Clustering;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>Assignments of a sample to any number of clusters, from one affinity matrix (spec/joint-diagonalization.md §5).</summary>
internal sealed class AffinityStarts : IDisposable
{
    private readonly int _adapters;
    private readonly int[] _active;
    private readonly Tensor _affinity;

    internal AffinityStarts(ModuleSample sample)
    {
        _adapters = sample.CollectionAdapters;
        _active = [.. sample.Modules.SelectMany(m => m.Factors.Owners).Distinct().Order()];
        using var scope = NewDisposeScope();
        using var sums = new Affinity(_active);
        foreach (SampledModule module in sample.Modules)
            sums.Add(module.Factors);
        _affinity = sums.Normalised().DetachFromDisposeScope();
    }

    /// <summary>Adapters with a product in the sample.</summary>
    internal int Active => _active.Length;

    /// <summary>Cluster of every adapter; those without a product in the sample are in cluster 0, where they count for nothing.</summary>
    internal int[] Assign(int clusters, ulong seed)
    {
        int[] assignment = new int[_adapters];
        if (clusters == 1)
            return assignment;
        int[] ofActive = SpectralStart.Assign(_affinity, clusters, seed);
        for (int i = 0; i < ofActive.Length; i++)
            assignment[_active[i]] = ofActive[i];
        return assignment;
    }

    public void Dispose() => _affinity.Dispose();
}
