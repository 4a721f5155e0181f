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
    private const int ChunkRows = 8192;
    private const int TriangleColumns = 256;

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

    /// <summary>Σ_i tr(K_i R_iR_iᵀ), the sum of the eigenvalues, in float64.</summary>
    internal double Trace()
    {
        double sum = 0;
        foreach (var (chunk, chunkWeights) in Chunks())
        {
            using var scope = NewDisposeScope();
            sum += (TensorMath.RowGrams(chunk.view(-1, _width, Dimension).to(ScalarType.Float64)) * chunkWeights).sum().item<double>();
        }

        return sum;
    }

    /// <summary>
    /// All eigenvalues, falling, to the precision of the rows: without vectors and in float32 they cost a fourth of what
    /// those of <see cref="Dense"/> do. Only the lower triangle is formed.
    /// </summary>
    internal double[] Eigenvalues()
    {
        using var scope = NewDisposeScope();
        Tensor lower = zeros(Dimension, Dimension, rows.dtype, rows.device);
        foreach (var (chunk, chunkWeights) in Chunks())
        {
            using var chunkScope = NewDisposeScope();
            Tensor weighed = chunkWeights.to(rows.dtype).bmm(chunk.view(-1, _width, Dimension)).view(-1, Dimension);
            for (int first = 0; first < Dimension; first += TriangleColumns)
            {
                int columns = Math.Min(TriangleColumns, Dimension - first);
                Tensor block = chunk.narrow(1, first, Dimension - first).t().mm(weighed.narrow(1, first, columns));
                lower.narrow(0, first, Dimension - first).narrow(1, first, columns).AddInPlace(block);
            }
        }

        double[] values = linalg.eigvalsh(lower).ToDoubles();
        Array.Reverse(values);
        return values;
    }

    /// <summary>The rows and weights of some products at a time, so that temporaries stay small in large collections.</summary>
    private IEnumerable<(Tensor Rows, Tensor Weights)> Chunks()
    {
        int products = Math.Max(1, ChunkRows / _width);
        for (int first = 0; first < _count; first += products)
        {
            int count = Math.Min(products, _count - first);
            using Tensor chunk = rows.narrow(0, (long)first * _width, (long)count * _width), chunkWeights = weights.narrow(0, first, count);
            yield return (chunk, chunkWeights);
        }
    }

    private Tensor Weigh(Tensor x, Tensor weights) => weights.bmm(x.view(_count, _width, -1)).view(_count * _width, -1);

    private static Tensor Symmetrise(Tensor square) => square.Plus(square.t()).Times(0.5);
}
