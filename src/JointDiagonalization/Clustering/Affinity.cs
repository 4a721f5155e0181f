using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// How much two adapters' products share their column and row spaces (spec/joint-diagonalization.md §5):
/// a_ij = Σ_m ⟨M̂_iM̂_iᵀ, M̂_jM̂_jᵀ⟩ + ⟨M̂_iᵀM̂_i, M̂_jᵀM̂_j⟩, as sums of squared blocks of stacked Grams.
/// </summary>
internal sealed class Affinity(int adapters)
{
    private const int ChunkRows = 1024;
    private readonly double[,] _sums = new double[adapters, adapters];

    internal void Add(CanonicalFactors factors)
    {
        if (factors.Count == 0)
            return;
        using var scope = NewDisposeScope();
        // Rows of G alone are orthonormal; M̂ᵀM̂ = G (FᵀF) Gᵀ needs the singular values back: scale by the norms of F's rows.
        Tensor weightedG = factors.G * factors.F.square().sum(1, keepdim: true).sqrt();
        AddSide(factors.F, factors);
        AddSide(weightedG, factors);
    }

    /// <summary>Symmetric [n, n], diagonal 1 before it is set to zero; rows of adapters without any product are zero.</summary>
    internal double[,] Normalised()
    {
        double[,] result = new double[adapters, adapters];
        for (int i = 0; i < adapters; i++)
        {
            for (int j = 0; j < adapters; j++)
            {
                double scale = Math.Sqrt(_sums[i, i] * _sums[j, j]);
                result[i, j] = i == j || scale == 0 ? 0 : (_sums[i, j] + _sums[j, i]) / (2 * scale);
            }
        }

        return result;
    }

    private void AddSide(Tensor rows, CanonicalFactors factors)
    {
        int perChunk = Math.Max(1, ChunkRows / factors.Width);
        for (int first = 0; first < factors.Count; first += perChunk)
        {
            using var scope = NewDisposeScope();
            int count = Math.Min(perChunk, factors.Count - first);
            Tensor gram = rows.narrow(0, (long)first * factors.Width, (long)count * factors.Width).mm(rows.t());
            double[] blocks = gram.square().view(count, factors.Width, factors.Count, factors.Width)
                .sum(new long[] { 1, 3 }, type: ScalarType.Float64).ToDoubles();
            for (int i = 0; i < count; i++)
            {
                for (int j = 0; j < factors.Count; j++)
                    _sums[factors.Owners[first + i], factors.Owners[j]] += blocks[(i * factors.Count) + j];
            }
        }
    }
}
