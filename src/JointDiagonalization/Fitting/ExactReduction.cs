using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// When k·l &lt; d, one QR of the stacked factors moves the problem to k·l dimensions with no loss
/// (spec/joint-diagonalization.md §6). A side that is not reduced keeps its coordinates.
/// </summary>
internal sealed class ExactReduction : IDisposable
{
    private readonly Tensor? _liftU;
    private readonly Tensor? _liftV;
    private readonly bool _ownsFactors;

    internal ExactReduction(CanonicalFactors factors)
    {
        using var scope = NewDisposeScope();
        (Tensor f, _liftU) = Reduce(factors.F);
        (Tensor g, _liftV) = Reduce(factors.G);
        _ownsFactors = _liftU is not null || _liftV is not null;
        Factors = !_ownsFactors
            ? factors
            : new CanonicalFactors(
                _liftU is null ? f.alias() : f,
                _liftV is null ? g.alias() : g,
                factors.Width,
                [.. factors.Owners],
                [.. factors.Norms],
                []);
        _liftU?.DetachFromDisposeScope();
        _liftV?.DetachFromDisposeScope();
    }

    /// <summary>The products in reduced coordinates.</summary>
    internal CanonicalFactors Factors { get; }

    internal Tensor LowerU(Tensor u) => _liftU is null ? u : _liftU.t().mm(u.to(ScalarType.Float64)).to(u.dtype);

    internal Tensor LowerV(Tensor v) => _liftV is null ? v : _liftV.t().mm(v.to(ScalarType.Float64)).to(v.dtype);

    internal Tensor LiftU(Tensor u) => _liftU is null ? u : _liftU.mm(u.to(ScalarType.Float64)).to(u.dtype);

    internal Tensor LiftV(Tensor v) => _liftV is null ? v : _liftV.mm(v.to(ScalarType.Float64)).to(v.dtype);

    public void Dispose()
    {
        if (_ownsFactors)
            Factors.Dispose();
        _liftU?.Dispose();
        _liftV?.Dispose();
    }

    private static (Tensor Rows, Tensor? Lift) Reduce(Tensor rows)
    {
        if (rows.shape[0] >= rows.shape[1])
            return (rows, null);
        var (q, r) = linalg.qr(rows.t().to(ScalarType.Float64));
        return (r.t().contiguous().to(rows.dtype), q);
    }
}
