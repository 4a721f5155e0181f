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
        TrackedBasis u = TrackedBasis.Of(basis.U, factors.F), v = TrackedBasis.Of(basis.V, factors.G);
        Tensor weightsU = v.Grams(factors.Count), weightsV = u.Grams(factors.Count);
        Tensor rowsU = KrylovRows(factors.F, weightsU, u), rowsV = KrylovRows(factors.G, weightsV, v);
        Tensor totalU = Total(rowsU, weightsU), totalV = Total(rowsV, weightsV);

        List<double> errors = [];
        for (int first = 0; first < factors.Count; first += ChunkProducts)
        {
            using var chunk = NewDisposeScope();
            int count = Math.Min(ChunkProducts, factors.Count - first);
            Tensor xU = rowsU.narrow(0, first, count), xV = rowsV.narrow(0, first, count);
            Tensor newU = TopWithout(totalU, xU, weightsU.narrow(0, first, count), basis.RankU);
            Tensor newV = TopWithout(totalV, xV, weightsV.narrow(0, first, count), basis.RankV);
            errors.AddRange(ReconstructionError.Captured(xU.bmm(newU), xV.bmm(newV)).ToDoubles().Select(c => Math.Max(0, 1 - c)));
        }

        return [.. errors];
    }

    /// <summary>Stacked rows in the Krylov coordinates of the operator, [k, l, q] float64.</summary>
    private static Tensor KrylovRows(Tensor rows, Tensor weights, TrackedBasis basis)
    {
        Tensor products = HalfStep.KrylovSpace(new StackedOperator(rows, weights), basis).Products;
        return products.view(weights.shape[0], weights.shape[1], -1).to(ScalarType.Float64);
    }

    /// <summary>Σ_i X_iᵀ K_i X_i [q, q].</summary>
    private static Tensor Total(Tensor rows, Tensor weights)
    {
        Tensor flat = rows.view(-1, rows.shape[2]);
        return flat.t().mm(weights.bmm(rows).view(-1, rows.shape[2]));
    }

    /// <summary>Leading eigenvectors of (total − own term) of each product, [count, q, r].</summary>
    private static Tensor TopWithout(Tensor total, Tensor rows, Tensor weights, int rank)
    {
        var (_, vectors) = linalg.eigh(total.unsqueeze(0) - rows.transpose(1, 2).bmm(weights).bmm(rows));
        return vectors.narrow(2, vectors.shape[2] - rank, rank);
    }
}
