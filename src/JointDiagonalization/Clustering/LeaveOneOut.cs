using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// Error of each member had the basis been fitted without it: its own term is taken out of both operators in the small
/// Krylov spaces and Rayleigh–Ritz is repeated there. Without this an adapter's own cluster always looks best, because the
/// basis was fitted to it, and nobody moves (spec/joint-diagonalization.md §5).
/// </summary>
internal static class LeaveOneOut
{
    private const int ChunkProducts = 128;

    /// <param name="factors">The members' products of one module.</param>
    /// <param name="basis">The basis fitted to them.</param>
    internal static double[] Errors(CanonicalFactors factors, SharedBasis basis)
    {
        using var scope = NewDisposeScope();
        Tensor z = ReconstructionError.Projected(factors.F, basis.U, factors);
        Tensor w = ReconstructionError.Projected(factors.G, basis.V, factors);
        Tensor weightsU = TensorMath.RowGrams(w), weightsV = TensorMath.RowGrams(z);
        Tensor rowsU = KrylovRows(factors.F, weightsU, basis.U, factors);
        Tensor rowsV = KrylovRows(factors.G, weightsV, basis.V, factors);
        Tensor totalU = Energy(rowsU, weightsU).sum(dim: 0), totalV = Energy(rowsV, weightsV).sum(dim: 0);

        List<double> errors = [];
        for (int first = 0; first < factors.Count; first += ChunkProducts)
        {
            using var chunk = NewDisposeScope();
            int count = Math.Min(ChunkProducts, factors.Count - first);
            Tensor xU = rowsU.narrow(0, first, count), xV = rowsV.narrow(0, first, count);
            Tensor u = TopWithout(totalU, xU, weightsU.narrow(0, first, count), basis.RankU);
            Tensor v = TopWithout(totalV, xV, weightsV.narrow(0, first, count), basis.RankV);
            errors.AddRange(ReconstructionError.Captured(xU.bmm(u), xV.bmm(v)).ToDoubles().Select(c => Math.Max(0, 1 - c)));
        }

        return [.. errors];
    }

    /// <summary>Stacked rows in the Krylov coordinates of the operator, [k, l, q] float64.</summary>
    private static Tensor KrylovRows(Tensor rows, Tensor weights, Tensor basis, CanonicalFactors factors)
    {
        Tensor q = HalfStep.KrylovSpace(new StackedOperator(rows, weights), basis);
        return ReconstructionError.Projected(rows, q.to(rows.dtype), factors);
    }

    /// <summary>Leading eigenvectors of (total − own term) of each product, [count, q, r].</summary>
    private static Tensor TopWithout(Tensor total, Tensor rows, Tensor weights, int rank)
    {
        var (_, vectors) = linalg.eigh(total.unsqueeze(0) - Energy(rows, weights));
        return vectors.narrow(2, vectors.shape[2] - rank, rank);
    }

    /// <summary>X_iᵀ K_i X_i of each product, [k, q, q].</summary>
    private static Tensor Energy(Tensor rows, Tensor weights) => rows.transpose(1, 2).bmm(weights).bmm(rows);
}
