using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting.Diagonal;

/// <summary>
/// The few coordinates in which the sweeps run: the leading HOSVD directions of each side, exact when there are no more
/// than asked for (spec/joint-diagonalization.md §6 "Projection for large k").
/// </summary>
internal sealed class DiagonalCoordinates : IDisposable
{
    private readonly Tensor? _f;
    private readonly Tensor? _g;

    internal DiagonalCoordinates(CanonicalFactors factors, int dimensions, ulong seed)
    {
        using var scope = NewDisposeScope();
        _f = factors.OutFeatures > dimensions ? Wide(HigherOrderSvd.OutputSide(factors, dimensions, seed).Basis) : null;
        _g = factors.InFeatures > dimensions ? Wide(HigherOrderSvd.InputSide(factors, dimensions, seed).Basis) : null;
        Factors = new CanonicalFactors(
            Project(factors.F, _f), Project(factors.G, _g), factors.Width, [.. factors.Owners], [.. factors.Norms], []);
        _f?.DetachFromDisposeScope();
        _g?.DetachFromDisposeScope();
    }

    /// <summary>The products in these coordinates, float64.</summary>
    internal CanonicalFactors Factors { get; }

    /// <summary>Whether something of the products lies outside.</summary>
    internal bool Loses => _f is not null || _g is not null;

    internal Tensor LowerU(Tensor u) => _f is null ? Wide(u) : _f.t().mm(Wide(u));

    internal Tensor LowerV(Tensor v) => _g is null ? Wide(v) : _g.t().mm(Wide(v));

    internal Tensor LiftU(Tensor u) => _f is null ? u : _f.mm(u);

    internal Tensor LiftV(Tensor v) => _g is null ? v : _g.mm(v);

    public void Dispose()
    {
        Factors.Dispose();
        _f?.Dispose();
        _g?.Dispose();
    }

    private static Tensor Project(Tensor rows, Tensor? basis) =>
        basis is null ? rows.to(ScalarType.Float64, copy: true) : rows.mm(basis.to(rows.dtype)).to(ScalarType.Float64, copy: true);

    private static Tensor Wide(Tensor tensor) => tensor.to(ScalarType.Float64);
}
