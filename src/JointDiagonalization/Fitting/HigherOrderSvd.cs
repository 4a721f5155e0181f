using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// One side of the HOSVD start: top eigenvectors of Σ M̂_iM̂_iᵀ or of Σ M̂_iᵀM̂_i (spec/joint-diagonalization.md §3).
/// </summary>
/// <param name="Basis">[d, r], r capped at the numerical rank of the stack.</param>
/// <param name="Tail">
/// At most the sum of the eigenvalues after the r-th, and so a certified lower bound of the best error: the sum itself for
/// problems up to <see cref="DenseLimit"/>, and for larger ones that of the Ritz values, none of which exceeds its eigenvalue.
/// </param>
internal sealed record HigherOrderSvd(Tensor Basis, double Tail)
{
    /// <summary>Larger problems use block-Krylov iteration, whose Ritz values certify less.</summary>
    internal const int DenseLimit = 1536;

    /// <summary>Relative to the largest eigenvalue; below it lies rounding of float32 data.</summary>
    internal const double RankTolerance = CanonicalFactors.RankTolerance * CanonicalFactors.RankTolerance;

    private const int Oversampling = 8;

    internal static HigherOrderSvd OutputSide(CanonicalFactors factors, int rank, ulong seed, int denseLimit = DenseLimit) =>
        Of(OutputOperator(factors), factors.F, rank, seed, denseLimit);

    internal static HigherOrderSvd InputSide(CanonicalFactors factors, int rank, ulong seed, int denseLimit = DenseLimit) =>
        Of(InputOperator(factors), factors.G, rank, seed, denseLimit);

    /// <summary>Σ M̂_iM̂_iᵀ</summary>
    internal static StackedOperator OutputOperator(CanonicalFactors factors) => new(factors.F, TensorMath.RowGrams(factors.BatchedG).to(ScalarType.Float64));

    /// <summary>Σ M̂_iᵀM̂_i</summary>
    internal static StackedOperator InputOperator(CanonicalFactors factors) => new(factors.G, TensorMath.RowGrams(factors.BatchedF).to(ScalarType.Float64));

    private static HigherOrderSvd Of(StackedOperator t, Tensor rows, int rank, ulong seed, int denseLimit)
    {
        rank = Math.Min(rank, t.Dimension);
        int width = Math.Min(rank + Oversampling, t.Dimension);
        if (t.Dimension <= denseLimit || HalfStep.KrylovDepth * width >= t.Dimension)
        {
            var (vectors, values) = TensorMath.LargestEigenvectors(t.Dense(), rank);
            int kept = Math.Min(rank, Math.Max(1, values.Count(v => v > RankTolerance * values[0])));
            double tail = values.Skip(kept).Sum(v => Math.Max(0, v));
            return new HigherOrderSvd(vectors.narrow(1, 0, kept).contiguous().to(rows.dtype), tail);
        }

        Tensor start = TensorMath.Orthonormalise(RandomColumns(t.Dimension, width, seed).to(rows.device)).to(rows.dtype);
        TrackedBasis space = HalfStep.KrylovSpace(t, TrackedBasis.Of(start, rows));
        var (ritzVectors, ritzValues) = TensorMath.LargestEigenvectors(t.Compress(space.Products), rank);
        return new HigherOrderSvd(space.Basis.mm(ritzVectors).to(rows.dtype), ritzValues.Skip(rank).Sum(v => Math.Max(0, v)));
    }

    internal static Tensor RandomColumns(int rows, int columns, ulong seed, RandomPurpose purpose = RandomPurpose.RangeFinder, int restart = 0)
    {
        var random = new CounterRandom(seed, purpose, restart);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)random.NextGaussian();
        return tensor(values, [rows, columns]);
    }
}
