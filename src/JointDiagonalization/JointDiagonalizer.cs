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
        using var reduction = new ExactReduction(factors, options.Certify ? HigherOrderSvd.DenseLimit : 0);
        var starts = new FitStarts(reduction.Factors, reduction, options);
        Alternation? best = null;
        foreach (var (u, v) in starts.All(start))
        {
            Alternation candidate = Alternate(reduction.Factors, u, v, cancellation);
            if (best is null || candidate.Trace[^1] < best.Trace[^1])
                best = candidate;
        }

        SharedBasis basis = InFullSpace(factors, best!, reduction);
        return new JointFit(basis, ReconstructionError.Of(factors, basis), best!.Trace, starts.Tails.U, starts.Tails.V);
    }

    private Alternation Alternate(CanonicalFactors factors, Tensor startU, Tensor startV, CancellationToken cancellation)
    {
        int count = factors.Count;
        TrackedBasis u = TrackedBasis.Of(startU, factors.F), v = TrackedBasis.Of(startV, factors.G);
        Tensor gramsV = v.Grams(count);
        List<double> trace = [Error(u.Grams(count), gramsV)];
        for (int iteration = 0; iteration < options.Iterations; iteration++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var step = NewDisposeScope();
            u = HalfStep.Take(new StackedOperator(factors.F, gramsV), u, Useful(u, v, factors), options.Method);
            Tensor gramsU = u.Grams(count);
            v = HalfStep.Take(new StackedOperator(factors.G, gramsU), v, Useful(v, u, factors), options.Method).MoveToOuterScope();
            u.MoveToOuterScope();
            gramsV = v.Grams(count).MoveToOuterDisposeScope();
            trace.Add(Error(gramsU, gramsV));
            if (trace[^2] - trace[^1] < options.Tolerance * trace[^2] || trace[^1] <= LosslessPerProduct * count)
                break;
        }

        return new Alternation(u.Basis, v.Basis, trace);
    }

    /// <summary>Σ_i 1 − ‖UᵀM̂_iV‖² from the Grams of FᵀU and GᵀV.</summary>
    private static double Error(Tensor gramsU, Tensor gramsV) => gramsU.shape[0] - (gramsU * gramsV).sum().item<double>();

    /// <summary>
    /// Columns of <paramref name="basis"/> worth keeping: through r directions of the other side, k products of rank l span
    /// at most k·min(l, r) on this side, and whatever lies beyond would be arbitrary.
    /// </summary>
    private static int Useful(TrackedBasis basis, TrackedBasis other, CanonicalFactors factors) =>
        Math.Min(basis.Columns, factors.Count * Math.Min(factors.Width, other.Columns));

    private static SharedBasis InFullSpace(CanonicalFactors factors, Alternation found, ExactReduction reduction)
    {
        Tensor u = TensorMath.Orthonormalise(reduction.LiftU(found.U)), v = TensorMath.Orthonormalise(reduction.LiftV(found.V));
        return Gauge.Canonicalise(
            new TrackedBasis(u, factors.F.mm(u.to(factors.F.dtype))),
            new TrackedBasis(v, factors.G.mm(v.to(factors.G.dtype))),
            factors.Count,
            factors.F.dtype);
    }

    private sealed record Alternation(Tensor U, Tensor V, List<double> Trace);
}
