using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>JD-Full's alternation from one start: a step of U, then a step of V (spec/joint-diagonalization.md §3). Its tensors belong to the scope that it was made in.</summary>
internal sealed class Alternation
{
    // Σ(1 − captured) in float32 cannot resolve less than this per product.
    private const double LosslessPerProduct = 1e-12;

    private readonly CanonicalFactors _factors;
    private readonly FitOptions _options;
    private readonly List<double> _trace;
    private TrackedBasis _u;
    private TrackedBasis _v;
    private Tensor _gramsV;

    internal Alternation(CanonicalFactors factors, FitOptions options, Tensor u, Tensor v)
    {
        (_factors, _options) = (factors, options);
        (_u, _v) = (TrackedBasis.Of(u.alias(), factors.F), TrackedBasis.Of(v.alias(), factors.G));
        _gramsV = _v.Grams(factors.Count);
        _trace = [ErrorOf(_u.Grams(factors.Count))];
        Converged = IsLossless;
    }

    internal Tensor U => _u.Basis;

    internal Tensor V => _v.Basis;

    /// <summary>Summed error at the start and after each iteration.</summary>
    internal IReadOnlyList<double> Trace => _trace;

    internal double Error => _trace[^1];

    internal bool Converged { get; private set; }

    private bool IsLossless => Error <= LosslessPerProduct * _factors.Count;

    /// <summary>‖UᵀM̂_iV‖² of each product.</summary>
    internal double[] Captured() => (_u.Grams(_factors.Count) * _gramsV).sum(new long[] { 1, 2 }).ToDoubles();

    /// <summary>Iterates until the error no longer falls or so many iterations were made in all.</summary>
    internal void Improve(int iterations, CancellationToken cancellation)
    {
        while (!Converged && _trace.Count <= iterations)
        {
            cancellation.ThrowIfCancellationRequested();
            Iterate();
            Converged = _trace[^2] - Error < _options.Tolerance * _trace[^2] || IsLossless;
        }
    }

    private void Iterate()
    {
        using var step = NewDisposeScope();
        using TrackedBasis oldU = _u, oldV = _v;
        using Tensor oldGrams = _gramsV;
        _u = HalfStep.Take(new StackedOperator(_factors.F, _gramsV), _u, Useful(_u, _v), _options.Method).MoveToOuterScope();
        Tensor gramsU = _u.Grams(_factors.Count);
        _v = HalfStep.Take(new StackedOperator(_factors.G, gramsU), _v, Useful(_v, _u), _options.Method).MoveToOuterScope();
        _gramsV = _v.Grams(_factors.Count).MoveToOuterDisposeScope();
        _trace.Add(ErrorOf(gramsU));
    }

    /// <summary>Σ_i 1 − ‖UᵀM̂_iV‖² from the Grams of FᵀU and GᵀV.</summary>
    private double ErrorOf(Tensor gramsU) => _factors.Count - (gramsU * _gramsV).sum().item<double>();

    /// <summary>
    /// Columns of <paramref name="basis"/> worth keeping: through r directions of the other side, k products of rank l span
    /// at most k·min(l, r) on this side, and whatever lies beyond would be arbitrary.
    /// </summary>
    private int Useful(TrackedBasis basis, TrackedBasis other) =>
        Math.Min(basis.Columns, _factors.Count * Math.Min(_factors.Width, other.Columns));
}
