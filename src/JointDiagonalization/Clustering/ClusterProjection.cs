using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// Keeps p leading directions per side of a module, so that many modules fit in memory during the assignment and moves cost
/// little; sides of few dimensions are kept as they are (spec/joint-diagonalization.md §6 "Projection for large k").
/// Errors on bases within these directions are those of the whole products.
/// </summary>
internal sealed class ClusterProjection : IDisposable
{
    private const int SpareClusters = 8;
    private const double LeastSaving = 4.0 / 3;

    private readonly Tensor? _f;
    private readonly Tensor? _g;

    private ClusterProjection(Tensor? f, Tensor? g)
    {
        _f = f?.DetachFromDisposeScope();
        _g = g?.DetachFromDisposeScope();
    }

    /// <summary>8r suits one basis (§6); C clusters together span up to C·r directions.</summary>
    internal static int Dimensions(int rank, int clusters) => rank * (clusters + SpareClusters);

    internal static ClusterProjection Of(CanonicalFactors factors, int dimensions, ulong seed)
    {
        using var scope = NewDisposeScope();
        return factors.Count == 0
            ? new ClusterProjection(null, null)
            : new ClusterProjection(
                Leading(factors.F, HigherOrderSvd.OutputOperator(factors), dimensions, seed),
                Leading(factors.G, HigherOrderSvd.InputOperator(factors), dimensions, seed));
    }

    internal CanonicalFactors Apply(CanonicalFactors factors) => factors.Project(_f, _g);

    public void Dispose()
    {
        _f?.Dispose();
        _g?.Dispose();
    }

    /// <summary>The exact range of few rows, else a randomised range of T from one pass; null where it would save little.</summary>
    private static Tensor? Leading(Tensor rows, StackedOperator t, int dimensions, ulong seed)
    {
        long kept = Math.Min(dimensions, rows.shape[0]);
        if (LeastSaving * kept > rows.shape[1])
            return null;
        if (kept == rows.shape[0])
            return TensorMath.Orthonormalise(rows.t()).to(rows.dtype);
        Tensor sketch = HigherOrderSvd.RandomColumns(t.Dimension, dimensions, seed).to(rows.device);
        return TensorMath.Orthonormalise(t.Backward(t.Forward(sketch))).to(rows.dtype);
    }
}
