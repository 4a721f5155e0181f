using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// How much two adapters' products share their column and row spaces (spec/joint-diagonalization.md §5):
/// a_ij = Σ_m ⟨M̂_iM̂_iᵀ, M̂_jM̂_jᵀ⟩ + ⟨M̂_iᵀM̂_i, M̂_jᵀM̂_j⟩, as sums of squared blocks of stacked Grams.
/// </summary>
internal sealed class Affinity(int adapters) : IDisposable
{
    private const int ChunkRows = 1024;
    private readonly Tensor _sums = zeros([adapters, adapters], ScalarType.Float64).DetachFromDisposeScope();

    internal void Add(CanonicalFactors factors)
    {
        if (factors.Count == 0)
            return;
        using var scope = NewDisposeScope();
        // Rows of G alone are orthonormal; M̂ᵀM̂ = G (FᵀF) Gᵀ needs the singular values back: scale by the norms of F's rows.
        Tensor weightedG = factors.G * factors.F.Squared().sum(1, keepdim: true).sqrt();
        AddSide(factors.F, factors);
        AddSide(weightedG, factors);
    }

    /// <summary>Symmetric [n, n] float64 among the chosen adapters, each at least with itself 1, diagonal then set to zero. Belongs to the caller's scope.</summary>
    internal Tensor Normalised(int[] chosen)
    {
        using var scope = NewDisposeScope();
        Tensor index = tensor(chosen.Select(c => (long)c).ToArray());
        Tensor part = _sums.index_select(0, index).index_select(1, index);
        Tensor scale = part.diagonal().AtLeast(double.Epsilon).rsqrt();
        Tensor scaled = part * scale.unsqueeze(0) * scale.unsqueeze(1);
        return (scaled - diag(scaled.diagonal())).MoveToOuterDisposeScope();
    }

    public void Dispose() => _sums.Dispose();

    /// <summary>Chunks of products against themselves and all later ones: the rest follows by symmetry.</summary>
    private void AddSide(Tensor rows, CanonicalFactors factors)
    {
        Tensor owners = tensor(factors.Owners.Select(o => (long)o).ToArray());
        int perChunk = Math.Max(1, ChunkRows / factors.Width);
        for (int first = 0; first < factors.Count; first += perChunk)
        {
            using var scope = NewDisposeScope();
            int count = Math.Min(perChunk, factors.Count - first), later = factors.Count - first;
            Tensor upper = rows.narrow(0, (long)first * factors.Width, (long)later * factors.Width);
            Tensor gram = upper.narrow(0, 0, (long)count * factors.Width).mm(upper.t());
            Tensor blocks = gram.Squared().view(count, factors.Width, later, factors.Width).sum([1L, 3L], type: ScalarType.Float64).cpu();
            AddBlocks(blocks, owners.narrow(0, first, count), owners.narrow(0, first, later));
            if (later > count)
                AddBlocks(blocks.narrow(1, count, later - count).t(), owners.narrow(0, first + count, later - count), owners.narrow(0, first, count));
        }
    }

    private void AddBlocks(Tensor blocks, Tensor rowOwners, Tensor columnOwners)
    {
        Tensor rows = zeros([blocks.shape[0], adapters], ScalarType.Float64).index_copy_(1, columnOwners, blocks);
        _sums.AddRows(rowOwners, rows);
    }
}
