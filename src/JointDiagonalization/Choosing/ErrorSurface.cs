using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>
/// Mean error of a sample for all ranks at once, for one assignment to clusters. In HOSVD coordinates the energy of all
/// cores is one table P[a, b] = Σ_i (u_aᵀM̂_iv_b)²; its sums over leading blocks are what (r_U, r_V) captures and its row
/// and column sums are the two eigenvalue spectra, so that the tails of spec/joint-diagonalization.md §3 bound every
/// entry: max(tail_U, tail_V) ≤ error ≤ tail_U + tail_V. A fit improves on the table by a percent or so.
/// </summary>
internal sealed class ErrorSurface
{
    private const int ChunkProducts = 64;

    // Remainders are estimated from a part of the products, as a share of the error without residual.
    private const int ProductsForResidual = 32;

    private readonly double[,] _errors;
    private readonly Dictionary<(int U, int V, int Residual), double> _shares = [];

    private ErrorSurface(double[,] errors, IReadOnlyList<(int U, int V)> withResidual) => (_errors, WithResidual) = (errors, withResidual);

    /// <summary>The pairs that were tried with a private residual.</summary>
    internal IReadOnlyList<(int U, int V)> WithResidual { get; }

    /// <summary>Of any pair of ranks up to the grid's largest; with a residual, of those that were tried with one.</summary>
    internal double Error(CompressionSetting setting) =>
        _errors[setting.RankU - 1, setting.RankV - 1] * (setting.Residual == 0 ? 1 : _shares[(setting.RankU, setting.RankV, setting.Residual)]);

    /// <param name="sample">Modules in memory.</param>
    /// <param name="clusterOf">Cluster of each adapter.</param>
    /// <param name="clusters">Number of clusters.</param>
    /// <param name="grid">Ranks to read off.</param>
    /// <param name="withResidual">Those of them to try with a private residual.</param>
    /// <param name="residuals">Residual ranks above 0 to try.</param>
    /// <param name="cancellation">Checked between clusters.</param>
    internal static ErrorSurface Of(
        ModuleSample sample,
        int[] clusterOf,
        int clusters,
        RankGrid grid,
        IReadOnlyList<(int U, int V)> withResidual,
        IReadOnlyList<int> residuals,
        CancellationToken cancellation)
    {
        double[,] captured = new double[grid.U[^1], grid.V[^1]];
        var remainders = new Remainders(withResidual, residuals);
        double products = 0;
        foreach (SampledModule module in sample.Modules)
        {
            products += module.Weight * module.Factors.Count;
            for (int c = 0; c < clusters; c++)
            {
                cancellation.ThrowIfCancellationRequested();
                int[] members = [.. Enumerable.Range(0, module.Factors.Count).Where(p => clusterOf[module.Factors.Owners[p]] == c)];
                if (members.Length > 0)
                    Add(module, members, grid, captured, remainders);
            }
        }

        var surface = new ErrorSurface(Lost(captured, products), withResidual);
        remainders.WriteShares(surface._shares);
        return surface;
    }

    /// <summary>What is not captured, as a share; in place.</summary>
    private static double[,] Lost(double[,] captured, double products)
    {
        for (int u = 0; u < captured.GetLength(0); u++)
        {
            for (int v = 0; v < captured.GetLength(1); v++)
                captured[u, v] = products == 0 ? 0 : Math.Max(0, 1 - (captured[u, v] / products));
        }

        return captured;
    }

    private static void Add(SampledModule module, int[] members, RankGrid grid, double[,] captured, Remainders remainders)
    {
        using var scope = NewDisposeScope();
        using CanonicalFactors own = module.Factors.Select(members);
        using var reduction = new ExactReduction(own);
        CanonicalFactors factors = reduction.Factors;
        Tensor u = HigherOrderSvd.OutputSide(factors, Math.Min(grid.U[^1], factors.OutFeatures), 0).Basis;
        Tensor v = HigherOrderSvd.InputSide(factors, Math.Min(grid.V[^1], factors.InFeatures), 0).Basis;
        Tensor z = factors.F.mm(u).view(factors.Count, factors.Width, -1), w = factors.G.mm(v).view(factors.Count, factors.Width, -1);
        int columnsU = (int)u.shape[1], columnsV = (int)v.shape[1];
        double[] blocks = LeadingBlocks(z, w);
        for (int rankU = 0; rankU < captured.GetLength(0); rankU++)
        {
            int row = Math.Min(rankU, columnsU - 1) * columnsV;
            for (int rankV = 0; rankV < captured.GetLength(1); rankV++)
                captured[rankU, rankV] += module.Weight * blocks[row + Math.Min(rankV, columnsV - 1)];
        }

        if (remainders.IsEmpty)
            return;
        int step = (module.Factors.Count + ProductsForResidual - 1) / ProductsForResidual;
        long[] part = [.. Enumerable.Range(0, members.Length).Where(i => i % step == 0).Select(i => (long)i)];
        Tensor index = tensor(part).to(z.device), owners = tensor(part.Select(i => (long)members[i]).ToArray()).to(z.device);
        remainders.Add(
            module.Weight * members.Length / part.Length,
            module.Energies.index_select(0, owners),
            z.index_select(0, index).to(ScalarType.Float64),
            w.index_select(0, index).to(ScalarType.Float64));
    }

    /// <summary>Sums of P over its leading blocks, row-major [columns of U, columns of V].</summary>
    private static double[] LeadingBlocks(Tensor z, Tensor w)
    {
        Tensor energy = zeros(z.shape[2], w.shape[2], dtype: ScalarType.Float64, device: z.device);
        for (int first = 0; first < z.shape[0]; first += ChunkProducts)
        {
            using var scope = NewDisposeScope();
            long count = Math.Min(ChunkProducts, z.shape[0] - first);
            energy.AddInPlace(z.narrow(0, first, count).transpose(1, 2).bmm(w.narrow(0, first, count)).Squared().sum(new long[] { 0 }, type: ScalarType.Float64));
        }

        return energy.cumsum(0).cumsum(1).ToDoubles();
    }

    /// <summary>What a residual leaves, against what is left without one, summed over a part of the products.</summary>
    private sealed class Remainders(IReadOnlyList<(int U, int V)> pairs, IReadOnlyList<int> residuals)
    {
        private readonly double[,] _left = new double[pairs.Count, residuals.Count + 1];
        private readonly int[] _ranks = [0, .. residuals];

        internal bool IsEmpty => residuals.Count == 0 || pairs.Count == 0;

        internal void Add(double weight, Tensor energies, Tensor z, Tensor w)
        {
            for (int p = 0; p < pairs.Count; p++)
            {
                using var scope = NewDisposeScope();
                double[][] errors = ResidualTail.Errors(
                    energies,
                    z.narrow(2, 0, Math.Min(pairs[p].U, z.shape[2])),
                    w.narrow(2, 0, Math.Min(pairs[p].V, w.shape[2])),
                    _ranks);
                for (int t = 0; t < _ranks.Length; t++)
                    _left[p, t] += weight * errors[t].Sum();
            }
        }

        internal void WriteShares(Dictionary<(int U, int V, int Residual), double> shares)
        {
            for (int p = 0; p < pairs.Count; p++)
            {
                for (int t = 1; t < _ranks.Length; t++)
                    shares[(pairs[p].U, pairs[p].V, _ranks[t])] = _left[p, 0] <= 0 ? 0 : _left[p, t] / _left[p, 0];
            }
        }
    }
}
