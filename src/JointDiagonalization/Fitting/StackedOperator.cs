using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// The positive semidefinite operator T = Σ_i R_iᵀ K_i R_i over stacked rows R [k·l, d] with small weights K [k, l, l].
/// With R = F and K_i = G_iᵀV VᵀG_i it is the U-step's Σ M̂_iVVᵀM̂_iᵀ (spec/joint-diagonalization.md §3); d x d is only formed on demand.
/// T X is taken in two halves, so that R X can be kept: a pass over the rows is what a step costs.
/// </summary>
/// <param name="rows">R [k·l, d]</param>
/// <param name="weights">K [k, l, l], float64</param>
internal sealed class StackedOperator(Tensor rows, Tensor weights)
{
    private readonly int _count = (int)weights.shape[0];
    private readonly int _width = (int)weights.shape[1];
    private readonly Tensor _weights = weights.to(rows.dtype);

    internal int Dimension { get; } = (int)rows.shape[1];

    /// <summary>R X [k·l, q] for X [d, q], in the precision of the rows.</summary>
    internal Tensor Forward(Tensor x) => rows.mm(x.to(rows.dtype));

    /// <summary>T X = Rᵀ K (R X) from R X, in the precision of the rows.</summary>
    internal Tensor Backward(Tensor products) => rows.t().mm(Weigh(products, _weights));

    /// <summary>Qᵀ T Q from R Q, in float64.</summary>
    internal Tensor Compress(Tensor products)
    {
        Tensor wide = products.to(ScalarType.Float64);
        return Symmetrise(wide.t().mm(Weigh(wide, weights)));
    }

    /// <summary>T itself [d, d], in float64.</summary>
    internal Tensor Dense() => Compress(rows);

    private Tensor Weigh(Tensor x, Tensor weights) => weights.bmm(x.view(_count, _width, -1)).view(_count * _width, -1);

    private static Tensor Symmetrise(Tensor square) => square.Plus(square.t()).Times(0.5);
}
