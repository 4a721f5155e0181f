using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// The positive semidefinite operator T = Σ_i R_iᵀ K_i R_i over stacked rows R [k·l, d] with small weights K [k, l, l].
/// With R = F and K_i = G_iᵀV VᵀG_i it is the U-step's Σ M̂_iVVᵀM̂_iᵀ (spec/joint-diagonalization.md §3); d x d is only formed on demand.
/// </summary>
internal sealed class StackedOperator(Tensor rows, Tensor weights)
{
    private readonly int _count = (int)weights.shape[0];
    private readonly int _width = (int)weights.shape[1];
    private readonly Tensor _weights = weights.to(rows.dtype);

    internal int Dimension { get; } = (int)rows.shape[1];

    /// <summary>T X for X [d, q], in the precision of the rows.</summary>
    internal Tensor Apply(Tensor x) => rows.t().mm(Weigh(rows.mm(x), _weights));

    /// <summary>Qᵀ T Q in float64.</summary>
    internal Tensor Compress(Tensor q)
    {
        Tensor projected = rows.mm(q).to(ScalarType.Float64);
        return Symmetrise(projected.t().mm(Weigh(projected, weights)));
    }

    /// <summary>T itself [d, d], in float64.</summary>
    internal Tensor Dense()
    {
        Tensor wide = rows.to(ScalarType.Float64);
        return Symmetrise(wide.t().mm(Weigh(wide, weights)));
    }

    /// <summary>Trace of T.</summary>
    internal double Trace()
    {
        Tensor batched = rows.view(_count, _width, Dimension).to(ScalarType.Float64);
        return (batched.bmm(batched.transpose(1, 2)) * weights).sum().item<double>();
    }

    private Tensor Weigh(Tensor x, Tensor weights) => weights.bmm(x.view(_count, _width, -1)).view(_count * _width, -1);

    private static Tensor Symmetrise(Tensor square) => (square + square.t()) * TensorMath.Half;
}
