using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Fitting.Diagonal;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// JD-Diag: fits U, V of unit columns to the unit products of one module, min Σ ‖M̂_i − U diag(d_i) Vᵀ‖²
/// (spec/joint-diagonalization.md §4). Sweeps run in projected coordinates from the better of two starts, then once in full ones.
/// </summary>
public sealed class DiagonalJointDiagonalizer(DiagonalFitOptions options)
{
    private const int DimensionsPerRank = 4;
    private const int TrialSweeps = 10;

    // Unit products need cores near 1; far above, nearly opposite columns cancel each other and would grow without bound.
    private const double DegenerateCore = 10;

    private const double LosslessPerProduct = 1e-12;

    /// <param name="factors">At least one product.</param>
    /// <param name="start">Bases of unit columns to start from instead of searching, e.g. published ones.</param>
    /// <param name="cancellation">Checked between sweeps.</param>
    /// <returns>
    /// U and V of unit columns, strongest first, each with its largest entry positive, and errors with the best diagonal
    /// cores. The lower bound is that of free cores, which diagonal ones cannot beat.
    /// </returns>
    public JointFit Fit(CanonicalFactors factors, SharedBasis? start = null, CancellationToken cancellation = default)
    {
        if (factors.Count == 0)
            throw new ArgumentException("a fit needs at least one non-zero product", nameof(factors));
        using var scope = NewDisposeScope();
        using var reduction = new ExactReduction(factors);
        CanonicalFactors reduced = reduction.Factors;
        int rank = Math.Min(options.Rank, Math.Min(reduced.OutFeatures, reduced.InFeatures));
        using JointFit full = new JointDiagonalizer(new FitOptions { RankU = rank, RankV = rank, Seed = options.Seed }).Fit(reduced, cancellation: cancellation);
        using var coordinates = new DiagonalCoordinates(reduced, DimensionsPerRank * rank, options.Seed);

        List<double> trace = [];
        var alternation = new DiagonalAlternation(coordinates.Factors);
        DiagonalState state = BestStart(alternation, start is null ? Starts(coordinates, full.Basis, rank) : [Given(start, reduction, coordinates, rank)], trace, cancellation);
        state = Improve(alternation, state, options.Sweeps - trace.Count + 1, trace, cancellation);
        Tensor u = coordinates.LiftU(state.U), v = coordinates.LiftV(state.V);
        if (coordinates.Loses)
        {
            var last = new DiagonalAlternation(reduced);
            state = last.Sweep(last.StateOf(u, v));
            (u, v) = (state.U, state.V);
            trace.Add(state.Error);
        }

        SharedBasis basis = Ordered(reduction.LiftU(u), reduction.LiftV(v), state.D, factors.F.dtype);
        double[] errors = [.. SigmaProjection.ProjectDiagonal(factors, basis).Select(s => s.RelSqError)];
        return new JointFit(basis, errors, trace, full.TailU, full.TailV);
    }

    /// <summary>A few sweeps from each start; neither wins on all collections (§4).</summary>
    private DiagonalState BestStart(
        DiagonalAlternation alternation, IEnumerable<(Tensor U, Tensor V)> starts, List<double> trace, CancellationToken cancellation)
    {
        DiagonalState? best = null;
        foreach (var (u, v) in starts)
        {
            List<double> candidateTrace = [];
            DiagonalState first = alternation.StateOf(u, v);
            candidateTrace.Add(first.Error);
            DiagonalState candidate = Improve(alternation, first, Math.Min(TrialSweeps, options.Sweeps), candidateTrace, cancellation);
            if (best is not null && candidate.Error >= best.Error)
                continue;
            best = candidate;
            trace.Clear();
            trace.AddRange(candidateTrace);
        }

        return best!;
    }

    private static IEnumerable<(Tensor U, Tensor V)> Starts(DiagonalCoordinates coordinates, SharedBasis full, int rank)
    {
        var (greedyU, greedyV) = GreedyPairs.Choose(coordinates.Factors, rank);
        yield return (greedyU, greedyV);

        // The JD-Full bases rotated by the SVD of the summed core: its diagonal then holds as much as a diagonal can of the mean.
        CanonicalFactors factors = coordinates.Factors;
        Tensor u = coordinates.LowerU(full.U), v = coordinates.LowerV(full.V);
        Tensor mean = factors.F.mm(u).t().mm(factors.G.mm(v));
        var (x, _, yt) = linalg.svd(mean, fullMatrices: false);
        yield return Filled(u.mm(x), v.mm(yt.t()), (greedyU, greedyV));
    }

    private static (Tensor U, Tensor V) Given(SharedBasis given, ExactReduction reduction, DiagonalCoordinates coordinates, int rank) =>
        Filled(coordinates.LowerU(reduction.LowerU(given.U)), coordinates.LowerV(reduction.LowerV(given.V)), GreedyPairs.Choose(coordinates.Factors, rank));

    /// <summary>As many unit columns as the greedy start has: the first ones from u and v, the rest its own.</summary>
    private static (Tensor U, Tensor V) Filled(Tensor u, Tensor v, (Tensor U, Tensor V) greedy)
    {
        long columns = Math.Min(Math.Min(u.shape[1], v.shape[1]), greedy.U.shape[1]), filled = greedy.U.shape[1] - columns;
        return (
            cat([Unit(u.narrow(1, 0, columns)), greedy.U.narrow(1, 0, filled)], 1),
            cat([Unit(v.narrow(1, 0, columns)), greedy.V.narrow(1, 0, filled)], 1));

        static Tensor Unit(Tensor columns) => columns / columns.Squared().sum(dim: 0).sqrt().AtLeast(double.Epsilon);
    }

    private DiagonalState Improve(
        DiagonalAlternation alternation, DiagonalState state, int sweeps, List<double> trace, CancellationToken cancellation)
    {
        double largestCore = Math.Max(DegenerateCore, state.LargestCore);
        for (int sweep = 0; sweep < sweeps; sweep++)
        {
            cancellation.ThrowIfCancellationRequested();
            DiagonalState next = alternation.Sweep(state);
            if (next.LargestCore > largestCore || !double.IsFinite(next.Error))
                break;
            double gain = state.Error - next.Error;
            state = next;
            trace.Add(state.Error);
            if (gain < options.Tolerance * state.Error || state.Error <= LosslessPerProduct * alternation.Count)
                break;
        }

        return state;
    }

    /// <summary>Columns by falling Σ d², each column's largest entry positive: the gauge that makes files reproducible.</summary>
    private static SharedBasis Ordered(Tensor u, Tensor v, Tensor d, ScalarType dtype)
    {
        Tensor order = d.Squared().sum(dim: 0).argsort(dim: 0, descending: true);
        return new SharedBasis(
            Gauge.PositiveColumns(u.index_select(1, order)).to(dtype, copy: true), Gauge.PositiveColumns(v.index_select(1, order)).to(dtype, copy: true));
    }
}
