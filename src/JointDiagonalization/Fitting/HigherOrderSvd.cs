using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// One side of the HOSVD start: top eigenvectors of Σ M̂_iM̂_iᵀ or of Σ M̂_iᵀM̂_i (spec/joint-diagonalization.md §3).
/// </summary>
/// <param name="Basis">[d, r], r capped at the numerical rank of the stack.</param>
/// <param name="Tail">Sum of the eigenvalues after the r-th, a certified lower bound of the best error; NaN when not certified.</param>
internal sealed record HigherOrderSvd(Tensor Basis, double Tail)
{
    /// <summary>Larger problems use block-Krylov iteration, which bounds eigenvalues from below only: no certificate.</summary>
    internal const int DenseLimit = 1536;

    private const int Oversampling = 8;
    private const int Passes = 3;
    private const double RankTolerance = CanonicalFactors.RankTolerance * CanonicalFactors.RankTolerance;

    internal static HigherOrderSvd OutputSide(CanonicalFactors factors, int rank, ulong seed) =>
        Of(new StackedOperator(factors.F, TensorMath.RowGrams(factors.BatchedG.to(ScalarType.Float64))), factors.F, rank, seed);

    internal static HigherOrderSvd InputSide(CanonicalFactors factors, int rank, ulong seed) =>
        Of(new StackedOperator(factors.G, TensorMath.RowGrams(factors.BatchedF.to(ScalarType.Float64))), factors.G, rank, seed);

    private static HigherOrderSvd Of(StackedOperator t, Tensor like, int rank, ulong seed)
    {
        rank = Math.Min(rank, t.Dimension);
        if (t.Dimension <= DenseLimit)
        {
            var (vectors, values) = TensorMath.LargestEigenvectors(t.Dense(), rank);
            int kept = Math.Min(rank, Math.Max(1, values.Count(v => v > RankTolerance * values[0])));
            double tail = values.Skip(kept).Sum(v => Math.Max(0, v));
            return new HigherOrderSvd(vectors.narrow(1, 0, kept).contiguous().to(like.dtype), tail);
        }

        int width = Math.Min(rank + Oversampling, t.Dimension);
        Tensor basis = TensorMath.Orthonormalise(GaussianStart(t.Dimension, width, seed).to(like.device)).to(like.dtype);
        for (int pass = 0; pass < Passes; pass++)
            basis = HalfStep.Take(t, basis, width, HalfStepMethod.Krylov);
        return new HigherOrderSvd(basis.narrow(1, 0, rank).contiguous(), double.NaN);
    }

    private static Tensor GaussianStart(int rows, int columns, ulong seed)
    {
        var random = new CounterRandom(seed, RandomPurpose.RangeFinder, 0);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)random.NextGaussian();
        return tensor(values, [rows, columns]);
    }
}
