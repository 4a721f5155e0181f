using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>Plain float64 matrices in managed code: the slow, obvious twin of everything under test.</summary>
internal static class Dense
{
    /// <summary>scale · B · A</summary>
    internal static double[,] Product(LoraDelta delta)
    {
        double[,] product = new double[delta.OutFeatures, delta.InFeatures];
        for (int i = 0; i < delta.OutFeatures; i++)
        {
            for (int k = 0; k < delta.Rank; k++)
            {
                double b = delta.Scale * delta.B[(i * delta.Rank) + k];
                for (int j = 0; j < delta.InFeatures; j++)
                    product[i, j] += b * delta.A[(k * delta.InFeatures) + j];
            }
        }

        return product;
    }

    internal static double[,] Unit(LoraDelta delta)
    {
        double[,] product = Product(delta);
        return Scaled(product, 1 / Math.Sqrt(SquaredNorm(product)));
    }

    internal static double[,] From(Tensor matrix)
    {
        double[] values = matrix.to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
        return From(values, (int)matrix.shape[0], (int)matrix.shape[1]);
    }

    internal static double[,] From(IReadOnlyList<float> values, int rows, int columns) => From([.. values.Select(v => (double)v)], rows, columns);

    internal static double[,] From(double[] values, int rows, int columns)
    {
        double[,] matrix = new double[rows, columns];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                matrix[i, j] = values[(i * columns) + j];
        }

        return matrix;
    }

    internal static double[,] Scaled(double[,] a, double factor)
    {
        double[,] result = (double[,])a.Clone();
        for (int i = 0; i < a.GetLength(0); i++)
        {
            for (int j = 0; j < a.GetLength(1); j++)
                result[i, j] *= factor;
        }

        return result;
    }

    internal static double[,] Transpose(double[,] a)
    {
        double[,] result = new double[a.GetLength(1), a.GetLength(0)];
        for (int i = 0; i < a.GetLength(0); i++)
        {
            for (int j = 0; j < a.GetLength(1); j++)
                result[j, i] = a[i, j];
        }

        return result;
    }

    internal static double[,] Multiply(double[,] a, double[,] b)
    {
        Assert.Equal(a.GetLength(1), b.GetLength(0));
        double[,] result = new double[a.GetLength(0), b.GetLength(1)];
        for (int i = 0; i < a.GetLength(0); i++)
        {
            for (int k = 0; k < b.GetLength(0); k++)
            {
                for (int j = 0; j < b.GetLength(1); j++)
                    result[i, j] += a[i, k] * b[k, j];
            }
        }

        return result;
    }

    internal static double[,] Sum(IEnumerable<double[,]> terms)
    {
        double[,]? sum = null;
        foreach (double[,] term in terms)
            sum = sum is null ? (double[,])term.Clone() : Combine(sum, term, 1);
        return sum!;
    }

    internal static double[,] Combine(double[,] a, double[,] b, double factor)
    {
        double[,] result = (double[,])a.Clone();
        for (int i = 0; i < a.GetLength(0); i++)
        {
            for (int j = 0; j < a.GetLength(1); j++)
                result[i, j] += factor * b[i, j];
        }

        return result;
    }

    internal static double Inner(double[,] a, double[,] b)
    {
        double sum = 0;
        for (int i = 0; i < a.GetLength(0); i++)
        {
            for (int j = 0; j < a.GetLength(1); j++)
                sum += a[i, j] * b[i, j];
        }

        return sum;
    }

    internal static double SquaredNorm(double[,] a) => Inner(a, a);

    internal static double SquaredDistance(double[,] a, double[,] b) => SquaredNorm(Combine(a, b, -1));

    /// <summary>Singular values, descending.</summary>
    internal static double[] SingularValues(double[,] a)
    {
        double[,] gram = a.GetLength(0) < a.GetLength(1) ? Multiply(a, Transpose(a)) : Multiply(Transpose(a), a);
        return [.. Eigen(gram).Values.Select(v => Math.Sqrt(Math.Max(0, v)))];
    }

    /// <summary>Cyclic Jacobi: eigenvalues, descending, and eigenvectors in columns.</summary>
    internal static (double[] Values, double[,] Vectors) Eigen(double[,] symmetric)
    {
        int n = symmetric.GetLength(0);
        double[,] a = (double[,])symmetric.Clone();
        double[,] v = new double[n, n];
        for (int i = 0; i < n; i++)
            v[i, i] = 1;
        for (int sweep = 0; sweep < 60; sweep++)
        {
            double off = 0;
            for (int p = 0; p < n; p++)
            {
                for (int q = p + 1; q < n; q++)
                {
                    off += a[p, q] * a[p, q];
                    Rotate(a, v, n, p, q);
                }
            }

            if (off < 1e-30 * (1e-300 + SquaredNorm(a)))
                break;
        }

        int[] order = [.. Enumerable.Range(0, n).OrderByDescending(i => a[i, i])];
        double[,] sorted = new double[n, n];
        for (int j = 0; j < n; j++)
        {
            for (int i = 0; i < n; i++)
                sorted[i, j] = v[i, order[j]];
        }

        return ([.. order.Select(i => a[i, i])], sorted);
    }

    /// <summary>x of S x = b for a symmetric positive definite S, by Gaussian elimination with pivots.</summary>
    internal static double[] Solve(double[,] s, double[] b)
    {
        int n = b.Length;
        double[,] a = (double[,])s.Clone();
        double[] x = [.. b];
        for (int p = 0; p < n; p++)
        {
            int best = Enumerable.Range(p, n - p).MaxBy(i => Math.Abs(a[i, p]));
            for (int j = 0; j < n; j++)
                (a[p, j], a[best, j]) = (a[best, j], a[p, j]);
            (x[p], x[best]) = (x[best], x[p]);
            for (int i = p + 1; i < n; i++)
            {
                double factor = a[i, p] / a[p, p];
                for (int j = p; j < n; j++)
                    a[i, j] -= factor * a[p, j];
                x[i] -= factor * x[p];
            }
        }

        for (int p = n - 1; p >= 0; p--)
        {
            for (int j = p + 1; j < n; j++)
                x[p] -= a[p, j] * x[j];
            x[p] /= a[p, p];
        }

        return x;
    }

    internal static double[,] FirstColumns(double[,] a, int count)
    {
        double[,] result = new double[a.GetLength(0), count];
        for (int i = 0; i < a.GetLength(0); i++)
        {
            for (int j = 0; j < count; j++)
                result[i, j] = a[i, j];
        }

        return result;
    }

    internal static float[] Floats(double[,] a) => [.. a.Cast<double>().Select(v => (float)v)];

    private static void Rotate(double[,] a, double[,] v, int n, int p, int q)
    {
        if (Math.Abs(a[p, q]) < 1e-300)
            return;
        double theta = (a[q, q] - a[p, p]) / (2 * a[p, q]);
        double t = (theta >= 0 ? 1 : -1) / (Math.Abs(theta) + Math.Sqrt((theta * theta) + 1));
        double c = 1 / Math.Sqrt((t * t) + 1), s = t * c;
        for (int k = 0; k < n; k++)
            (a[k, p], a[k, q]) = ((c * a[k, p]) - (s * a[k, q]), (s * a[k, p]) + (c * a[k, q]));
        for (int k = 0; k < n; k++)
            (a[p, k], a[q, k]) = ((c * a[p, k]) - (s * a[q, k]), (s * a[p, k]) + (c * a[q, k]));
        for (int k = 0; k < n; k++)
            (v[k, p], v[k, q]) = ((c * v[k, p]) - (s * v[k, q]), (s * v[k, p]) + (c * v[k, q]));
    }
}
