using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// JD-Full: fits orthonormal U, V to the unit products of one module, min Σ ‖M̂_i − U Σ_i Vᵀ‖² with free cores
/// (spec/joint-diagonalization.md §3). HOSVD start, then alternating half-steps.
/// </summary>
public sealed class JointDiagonalizer(FitOptions options)
{
    // Σ(1 − captured) in float32 cannot resolve less than this per product.
    private const double LosslessPerProduct = 1e-12;

    /// <param name="factors">At least one product.</param>
    /// <param name="start">Bases to start from instead of HOSVD, e.g. those of the previous round.</param>
    /// <param name="cancellation">Checked between iterations.</param>
    public JointFit Fit(CanonicalFactors factors, SharedBasis? start = null, CancellationToken cancellation = default)
    {
        if (factors.Count == 0)
            throw new ArgumentException("a fit needs at least one non-zero product", nameof(factors));
        using var scope = NewDisposeScope();
        using var reduction = new ExactReduction(factors);
        CanonicalFactors reduced = reduction.Factors;

        var (u, v, tailU, tailV) = Start(reduced, reduction, start);
        List<double> trace = [reduced.Count - Captured(reduced, u, v)];
        for (int iteration = 0; iteration < options.Iterations; iteration++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var step = NewDisposeScope();
            Tensor w = ReconstructionError.Projected(reduced.G, v, reduced);
            Tensor nextU = HalfStep.Take(new StackedOperator(reduced.F, TensorMath.RowGrams(w)), u, Useful(u, v, reduced), options.Method);
            Tensor z = ReconstructionError.Projected(reduced.F, nextU, reduced);
            Tensor nextV = HalfStep.Take(new StackedOperator(reduced.G, TensorMath.RowGrams(z)), v, Useful(v, nextU, reduced), options.Method);
            u = nextU.MoveToOuterDisposeScope();
            v = nextV.MoveToOuterDisposeScope();
            trace.Add(reduced.Count - Captured(reduced, u, v));
            if (trace[^2] - trace[^1] < options.Tolerance * trace[^2] || trace[^1] <= LosslessPerProduct * reduced.Count)
                break;
        }

        SharedBasis basis = Gauge.Canonicalise(reduced, u, v, reduction);
        return new JointFit(basis, ReconstructionError.Of(factors, basis), trace, tailU, tailV);
    }

    /// <summary>
    /// Columns of <paramref name="basis"/> worth keeping: through r directions of the other side, k products of rank l span
    /// at most k·min(l, r) on this side, and whatever lies beyond would be arbitrary.
    /// </summary>
    private static int Useful(Tensor basis, Tensor other, CanonicalFactors factors) =>
        (int)Math.Min(basis.shape[1], factors.Count * Math.Min(factors.Width, other.shape[1]));

    private (Tensor U, Tensor V, double TailU, double TailV) Start(CanonicalFactors reduced, ExactReduction reduction, SharedBasis? start)
    {
        int rankU = Math.Min(options.RankU, reduced.OutFeatures), rankV = Math.Min(options.RankV, reduced.InFeatures);
        if (start is not null && start.RankU >= rankU && start.RankV >= rankV)
        {
            return (
                TensorMath.Orthonormalise(reduction.LowerU(start.U)).narrow(1, 0, rankU).contiguous().to(reduced.F.dtype),
                TensorMath.Orthonormalise(reduction.LowerV(start.V)).narrow(1, 0, rankV).contiguous().to(reduced.G.dtype),
                double.NaN,
                double.NaN);
        }

        HigherOrderSvd output = HigherOrderSvd.OutputSide(reduced, rankU, options.Seed);
        HigherOrderSvd input = HigherOrderSvd.InputSide(reduced, rankV, options.Seed);
        if (start is null)
            return (output.Basis, input.Basis, output.Tail, input.Tail);
        return (
            Padded(reduction.LowerU(start.U), output.Basis, rankU),
            Padded(reduction.LowerV(start.V), input.Basis, rankV),
            output.Tail,
            input.Tail);
    }

    /// <summary>The start's directions first, filled up with the leading HOSVD directions.</summary>
    private static Tensor Padded(Tensor start, Tensor fill, int rank)
    {
        Tensor q = TensorMath.Orthonormalise(cat([start.to(fill.dtype), fill], 1));
        return q.narrow(1, 0, Math.Min(rank, q.shape[1])).contiguous().to(fill.dtype);
    }

    private static double Captured(CanonicalFactors factors, Tensor u, Tensor v)
    {
        using var scope = NewDisposeScope();
        return ReconstructionError.Captured(
            ReconstructionError.Projected(factors.F, u, factors), ReconstructionError.Projected(factors.G, v, factors)).sum().item<double>();
    }
}
