namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>JD-Full by the book: dense unit products, HOSVD start, full eigendecompositions (spec/joint-diagonalization.md §3).</summary>
internal static class DenseAlternation
{
    /// <summary>Summed relative squared error at the start and after each iteration.</summary>
    internal static double[] Trace(IReadOnlyList<double[,]> products, int loraRank, int rankU, int rankV, int iterations)
    {
        double[,] u = Top(Dense.Sum(products.Select(m => Dense.Multiply(m, Dense.Transpose(m)))), rankU);
        double[,] v = Top(Dense.Sum(products.Select(m => Dense.Multiply(Dense.Transpose(m), m))), rankV);
        List<double> trace = [Error(products, u, v)];
        for (int i = 0; i < iterations; i++)
        {
            u = Top(Dense.Sum(products.Select(m => OuterSquare(Dense.Multiply(m, v)))), Useful(rankU, v));
            v = Top(Dense.Sum(products.Select(m => OuterSquare(Dense.Multiply(Dense.Transpose(m), u)))), Useful(rankV, u));
            trace.Add(Error(products, u, v));
        }

        return [.. trace];

        // Beyond this the eigenvalues are zero and the eigenvectors arbitrary.
        int Useful(int rank, double[,] other) => Math.Min(rank, products.Count * Math.Min(loraRank, other.GetLength(1)));
    }

    internal static double Error(IEnumerable<double[,]> products, double[,] u, double[,] v) =>
        products.Sum(m => Dense.SquaredDistance(m, Reconstruct(m, u, v)));

    /// <summary>U (UᵀMV) Vᵀ</summary>
    internal static double[,] Reconstruct(double[,] m, double[,] u, double[,] v)
    {
        double[,] core = Dense.Multiply(Dense.Multiply(Dense.Transpose(u), m), v);
        return Dense.Multiply(Dense.Multiply(u, core), Dense.Transpose(v));
    }

    internal static double[,] Top(double[,] symmetric, int rank) =>
        Dense.FirstColumns(Dense.Eigen(symmetric).Vectors, Math.Min(rank, symmetric.GetLength(0)));

    private static double[,] OuterSquare(double[,] y) => Dense.Multiply(y, Dense.Transpose(y));
}
