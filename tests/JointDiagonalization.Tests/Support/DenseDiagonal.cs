namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>JD-Diag on materialised products with plain normal equations: the slow twin of the stacked alternation.</summary>
internal static class DenseDiagonal
{
    /// <summary>Summed errors at the start and after each sweep, from given unit-column bases.</summary>
    internal static double[] Trace(IReadOnlyList<double[,]> products, double[,] u, double[,] v, int sweeps)
    {
        double[][] cores = Cores(products, u, v);
        List<double> trace = [Error(products, u, v, cores)];
        for (int sweep = 0; sweep < sweeps; sweep++)
        {
            u = Side(products, v, cores);
            v = Side([.. products.Select(Dense.Transpose)], u, cores);
            cores = Cores(products, u, v);
            trace.Add(Error(products, u, v, cores));
        }

        return [.. trace];
    }

    internal static double Error(IReadOnlyList<double[,]> products, double[,] u, double[,] v, double[][] cores) =>
        products.Zip(cores, (m, d) => Dense.SquaredDistance(m, Rebuild(u, v, d))).Sum();

    /// <summary>argmin ‖M − U diag(d) Vᵀ‖ of each product, as a least-squares problem over its entries.</summary>
    internal static double[][] Cores(IReadOnlyList<double[,]> products, double[,] u, double[,] v)
    {
        int rank = u.GetLength(1);
        double[][,] terms = [.. Enumerable.Range(0, rank).Select(j => Rebuild(u, v, [.. Enumerable.Range(0, rank).Select(i => i == j ? 1.0 : 0)]))];
        double[,] gram = new double[rank, rank];
        for (int i = 0; i < rank; i++)
        {
            for (int j = 0; j < rank; j++)
                gram[i, j] = Dense.Inner(terms[i], terms[j]);
        }

        return [.. products.Select(m => Dense.Solve(gram, [.. terms.Select(t => Dense.Inner(t, m))]))];
    }

    internal static double[,] Rebuild(double[,] u, double[,] v, double[] d)
    {
        double[,] scaled = (double[,])u.Clone();
        for (int i = 0; i < u.GetLength(0); i++)
        {
            for (int j = 0; j < d.Length; j++)
                scaled[i, j] *= d[j];
        }

        return Dense.Multiply(scaled, Dense.Transpose(v));
    }

    /// <summary>argmin over U of Σ ‖M_i − U (V diag d_i)ᵀ‖².</summary>
    private static double[,] Side(IReadOnlyList<double[,]> products, double[,] v, double[][] cores)
    {
        double[][,] designs = [.. cores.Select(d => Rebuild(v, Identity(d.Length), d))];
        double[,] gram = Dense.Sum(designs.Select(x => Dense.Multiply(Dense.Transpose(x), x)));
        double[,] right = Dense.Sum(products.Zip(designs, Dense.Multiply));
        double[,] result = new double[right.GetLength(0), right.GetLength(1)];
        for (int i = 0; i < result.GetLength(0); i++)
        {
            double[] row = Dense.Solve(gram, [.. Enumerable.Range(0, result.GetLength(1)).Select(j => right[i, j])]);
            for (int j = 0; j < row.Length; j++)
                result[i, j] = row[j];
        }

        return result;
    }

    private static double[,] Identity(int n)
    {
        double[,] identity = new double[n, n];
        for (int i = 0; i < n; i++)
            identity[i, i] = 1;
        return identity;
    }
}
