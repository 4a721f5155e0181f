using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// A start from the products themselves: the leading directions of a few that stand for many others. Collections of many
/// groups put HOSVD near a saddle, a little of every group in every column, which the alternation leaves slowly; a member
/// already lies in one group (spec/joint-diagonalization.md §3 "Initialisation").
/// </summary>
internal static class MemberStart
{
    private const int Candidates = 16;

    /// <param name="factors">k products.</param>
    /// <param name="rankU">r_U</param>
    /// <param name="rankV">r_V</param>
    /// <param name="served">How well another start serves each product: members are taken from all over that scale, whatever their order.</param>
    /// <returns>U [d_out, ≤ r_U] and V [d_in, ≤ r_V]; columns need not be orthogonal.</returns>
    internal static (Tensor U, Tensor V) Choose(CanonicalFactors factors, int rankU, int rankV, double[] served)
    {
        int widthU = Math.Min(factors.Width, rankU), widthV = Math.Min(factors.Width, rankV);
        long[] candidates = Spread(served);
        Tensor index = tensor(candidates).to(factors.F.device);
        Tensor u = Leading(factors.BatchedF, index, widthU), v = Leading(factors.BatchedG, index, widthV);
        double[] captured = Captured(factors, u, v);

        int needed = Math.Max(Groups(rankU, widthU), Groups(rankV, widthV));
        Tensor chosen = tensor(Cover(captured, candidates.Length, needed)).to(factors.F.device);
        return (Columns(u.index_select(0, chosen), rankU), Columns(v.index_select(0, chosen), rankV));

        static int Groups(int rank, int width) => (rank + width - 1) / width;
    }

    /// <summary>Unit leading rows of the products at these positions, [n, width, d]; rows of zeros stay.</summary>
    private static Tensor Leading(Tensor batch, Tensor index, int width)
    {
        Tensor rows = batch.index_select(0, index).narrow(1, 0, width);
        return rows / rows.Squared().sum(2, keepdim: true).sqrt().AtLeast(float.Epsilon);
    }

    /// <summary>‖U_cᵀM̂_jV_c‖² of every product j on the directions of every candidate c, row-major [k, n].</summary>
    private static double[] Captured(CanonicalFactors factors, Tensor u, Tensor v)
    {
        return (Grams(factors.F, u) * Grams(factors.G, v)).sum(new long[] { 2, 3 }).ToDoubles();

        Tensor Grams(Tensor rows, Tensor directions)
        {
            long n = directions.shape[0], width = directions.shape[1];
            Tensor products = rows.mm(directions.view(n * width, -1).t()).view(factors.Count, factors.Width, n, width);
            Tensor perCandidate = products.permute(0, 2, 1, 3).reshape(factors.Count * n, factors.Width, width).to(ScalarType.Float64);
            return TensorMath.RowGrams(perCandidate).view(factors.Count, n, factors.Width, factors.Width);
        }
    }

    /// <summary>Greedy facility location: each time the candidate that adds most to Σ_j max_c captured_j(c).</summary>
    private static long[] Cover(double[] captured, int candidates, int needed)
    {
        double[] best = new double[captured.Length / candidates];
        List<long> chosen = [];
        while (chosen.Count < Math.Min(needed, candidates))
        {
            long next = Enumerable.Range(0, candidates).Where(c => !chosen.Contains(c)).MaxBy(Gain);
            chosen.Add(next);
            for (int j = 0; j < best.Length; j++)
                best[j] = Math.Max(best[j], captured[(j * candidates) + next]);
        }

        return [.. chosen];

        double Gain(int candidate)
        {
            double gain = 0;
            for (int j = 0; j < best.Length; j++)
                gain += Math.Max(0, captured[(j * candidates) + candidate] - best[j]);
            return gain;
        }
    }

    private static Tensor Columns(Tensor chosen, int rank)
    {
        Tensor rows = chosen.view(-1, chosen.shape[2]);
        return rows.narrow(0, 0, Math.Min(rank, rows.shape[0])).t();
    }

    /// <summary>Positions at even distances in the order of values.</summary>
    private static long[] Spread(double[] values)
    {
        int[] order = [.. Enumerable.Range(0, values.Length).OrderByDescending(i => values[i])];
        int count = Math.Min(Candidates, order.Length);
        return [.. Enumerable.Range(0, count).Select(i => (long)order[(int)((i + 0.5) * order.Length / count)])];
    }
}
