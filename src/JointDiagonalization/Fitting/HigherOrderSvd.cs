using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// One side of the HOSVD start: top eigenvectors of Σ M̂_iM̂_iᵀ or of Σ M̂_iᵀM̂_i (spec/joint-diagonalization.md §3).
/// </summary>
/// <param name="Basis">[d, r], r capped at the numerical rank of the stack.</param>
/// <param name="Tail">
/// At most the sum of the eigenvalues after the r-th, and so a certified lower bound of the best error: the sum itself, to
/// float32, for problems up to <see cref="DenseLimit"/>, and for larger ones that of the Ritz values, none of which exceeds
/// its eigenvalue.
/// </param>
internal sealed record HigherOrderSvd(Tensor Basis, double Tail)
{
    /// <summary>Larger problems use block-Krylov iteration, whose Ritz values certify less.</summary>
    internal const int DenseLimit = 1536;

    /// <summary>Relative to the largest eigenvalue; below it lies rounding of float32 data.</summary>
    internal const double RankTolerance = CanonicalFactors.RankTolerance * CanonicalFactors.RankTolerance;

    private const int Oversampling = 8;

    /// <summary>Dense eigenvectors beyond this size cost more than iteration for the few that are wanted.</summary>
    private const int VectorsLimit = 384;

    /// <summary>A Ritz value this small beside the largest hints at a numerical rank below r, which float32 does not settle.</summary>
    private const double DeficientBelow = 1e-5;

    /// <summary>Error of an eigenvalue in float32 relative to the largest, with room to spare.</summary>
    private const double EigenvalueSlack = 2e-6;

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
        if (t.Dimension <= Math.Min(denseLimit, VectorsLimit) || HalfStep.KrylovDepth * width >= t.Dimension)
            return Dense(t, rows, rank);

        Tensor start = TensorMath.Orthonormalise(RandomColumns(t.Dimension, width, seed).to(rows.device)).to(rows.dtype);
        TrackedBasis space = HalfStep.KrylovSpace(t, TrackedBasis.Of(start, rows));
        var (ritzVectors, ritzValues) = TensorMath.LargestEigenvectors(t.Compress(space.Products), rank);
        bool certified = t.Dimension <= denseLimit;
        if (certified && ritzValues[rank - 1] < DeficientBelow * ritzValues[0])
            return Dense(t, rows, rank);
        return new HigherOrderSvd(
            space.Basis.mm(ritzVectors).to(rows.dtype),
            certified ? TailBeyond(t, rank) : ritzValues.Skip(rank).Sum(v => Math.Max(0, v)));
    }

    private static HigherOrderSvd Dense(StackedOperator t, Tensor rows, int rank)
    {
        var (vectors, values) = TensorMath.LargestEigenvectors(t.Dense(), rank);
        int kept = Math.Min(rank, Math.Max(1, values.Count(v => v > RankTolerance * values[0])));
        return new HigherOrderSvd(vectors.narrow(1, 0, kept).contiguous().to(rows.dtype), values.Skip(kept).Sum(v => Math.Max(0, v)));
    }

    /// <summary>What all eigenvalues leave beyond the largest, which are taken for a little more than they are: they come in float32.</summary>
    private static double TailBeyond(StackedOperator t, int rank)
    {
        double[] values = t.Eigenvalues();
        return Math.Max(0, t.Trace() - values.Take(rank).Sum(v => v + (EigenvalueSlack * values[0])));
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
