using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting.Diagonal;

/// <summary>
/// The greedy start of JD-Diag: singular pairs f gᵀ of the products, each time the one with the largest norm left outside
/// the span of those chosen (spec/joint-diagonalization.md §4). That is a pivoted Cholesky factorisation of the Gram
/// matrix ⟨f_a g_aᵀ, f_b g_bᵀ⟩ = (f_a·f_b)(g_a·g_b), of which only the chosen columns are formed.
/// </summary>
internal static class GreedyPairs
{
    private const double RankTolerance = CanonicalFactors.RankTolerance * CanonicalFactors.RankTolerance;

    /// <summary>Unit columns [d_out, n], [d_in, n], float64, in the order chosen; n ≤ <paramref name="count"/> when fewer pairs span everything.</summary>
    internal static (Tensor U, Tensor V) Choose(CanonicalFactors factors, int count)
    {
        Tensor f = factors.F, g = factors.G;
        double[] left = (f.Squared().sum(1) * g.Squared().sum(1)).ToDoubles();
        double first = left.Max();
        List<double[]> columns = [];
        List<long> chosen = [];
        while (chosen.Count < count)
        {
            int pivot = Array.IndexOf(left, left.Max());
            if (left[pivot] <= RankTolerance * first)
                break;
            double[] column = Column(factors, pivot, columns, Math.Sqrt(left[pivot]));
            for (int a = 0; a < left.Length; a++)
                left[a] -= column[a] * column[a];
            left[pivot] = 0;
            columns.Add(column);
            chosen.Add(pivot);
        }

        Tensor index = tensor(chosen.ToArray()).to(f.device);
        return (Unit(f.index_select(0, index)), Unit(g.index_select(0, index)));
    }

    private static double[] Column(CanonicalFactors factors, int pivot, List<double[]> earlier, double pivotNorm)
    {
        using var scope = NewDisposeScope();
        double[] column = (factors.F.mv(factors.F[pivot]) * factors.G.mv(factors.G[pivot])).ToDoubles();
        foreach (double[] previous in earlier)
        {
            double factor = previous[pivot];
            for (int a = 0; a < column.Length; a++)
                column[a] -= factor * previous[a];
        }

        for (int a = 0; a < column.Length; a++)
            column[a] /= pivotNorm;
        return column;
    }

    private static Tensor Unit(Tensor rows)
    {
        Tensor wide = rows.to(ScalarType.Float64);
        return (wide / wide.Squared().sum(1, keepdim: true).sqrt()).t().contiguous();
    }
}
