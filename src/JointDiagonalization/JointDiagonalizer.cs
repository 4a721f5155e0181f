using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// JD-Full: fits orthonormal U, V to the unit products of one module, min Σ ‖M̂_i − U Σ_i Vᵀ‖² with free cores
/// (spec/joint-diagonalization.md §3). HOSVD start, then alternating half-steps.
/// </summary>
public sealed class JointDiagonalizer(FitOptions options)
{
    /// <summary>Iterations after which one of two default starts is given up.</summary>
    private const int TrialIterations = 1;

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
        Alternation best = First(starts, reduction.Factors, start, cancellation);
        best.Improve(options.Iterations, cancellation);
        foreach (var (u, v) in start is null ? starts.Restarts() : [])
        {
            var candidate = new Alternation(reduction.Factors, options, u, v);
            candidate.Improve(options.Iterations, cancellation);
            if (candidate.Error < best.Error)
                best = candidate;
        }

        SharedBasis basis = InFullSpace(factors, best, reduction);
        return new JointFit(basis, ReconstructionError.Of(factors, basis), best.Trace, starts.Tails.U, starts.Tails.V);
    }

    /// <summary>
    /// From what was given, or the better one of HOSVD and members after a trial. There is nothing to try where HOSVD is
    /// certified to be as good as converged.
    /// </summary>
    private Alternation First(FitStarts starts, CanonicalFactors factors, SharedBasis? given, CancellationToken cancellation)
    {
        var (u, v) = given is null ? starts.Hosvd() : starts.From(given);
        var first = new Alternation(factors, options, u, v);
        if (given is not null || !options.TryMembers || factors.Count == 1)
            return first;
        first.Improve(Math.Min(TrialIterations, options.Iterations), cancellation);
        double bound = Math.Max(starts.Tails.U, starts.Tails.V);
        if (first.Error == 0 || first.Error - bound <= options.Tolerance * first.Error)
            return first;
        (u, v) = starts.Members(first.Captured());
        var second = new Alternation(factors, options, u, v);
        second.Improve(Math.Min(TrialIterations, options.Iterations), cancellation);
        return second.Error < first.Error ? second : first;
    }

    private static SharedBasis InFullSpace(CanonicalFactors factors, Alternation found, ExactReduction reduction)
    {
        Tensor u = TensorMath.Orthonormalise(reduction.LiftU(found.U)), v = TensorMath.Orthonormalise(reduction.LiftV(found.V));
        return Gauge.Canonicalise(
            new TrackedBasis(u, factors.F.mm(u.to(factors.F.dtype))),
            new TrackedBasis(v, factors.G.mm(v.to(factors.G.dtype))),
            factors.Count,
            factors.F.dtype);
    }
}
