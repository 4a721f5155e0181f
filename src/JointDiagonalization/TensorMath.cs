using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>Small helpers over TorchSharp; results belong to the caller's dispose scope.</summary>
internal static class TensorMath
{
    internal static float[] ToFloats(this Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray();
    }

    internal static double[] ToDoubles(this Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
    }

    /// <summary>Orthonormal basis of the columns by Householder QR in float64; complete even when they are dependent.</summary>
    internal static Tensor Orthonormalise(Tensor columns)
    {
        var (q, _) = linalg.qr(columns.to(ScalarType.Float64));
        return q;
    }

    /// <summary>Eigenvectors [n, count] of the largest eigenvalues, descending, and all eigenvalues, descending (float64).</summary>
    internal static (Tensor Vectors, double[] Values) LargestEigenvectors(Tensor symmetric, int count)
    {
        var (values, vectors) = linalg.eigh(symmetric);
        double[] descending = values.ToDoubles();
        Array.Reverse(descending);
        return (vectors.narrow(1, vectors.shape[1] - count, count).flip(1), descending);
    }

    /// <summary>x xᵀ of each matrix of a batch: [k, a, b] to [k, a, a].</summary>
    internal static Tensor RowGrams(Tensor batch) => batch.bmm(batch.transpose(1, 2));

    // A number passed to torch becomes a Scalar with a finalizer, which TorchSharp does not keep alive during the native call
    // (0.107): a collection at that moment frees it, and the call reads freed memory. These do keep it alive. A sum of two
    // tensors passes one as well, its factor 1; a difference does not.

    internal static Tensor Plus(this Tensor a, Tensor b) => With(1, one => a.add(b, one));

    internal static void AddInPlace(this Tensor a, Tensor b) => With(1, one => a.add_(b, one));

    internal static void AddRows(this Tensor a, Tensor index, Tensor rows) => With(1, one => a.index_add_(0, index, rows, one));

    internal static Tensor Times(this Tensor a, double factor) => With(factor, a.mul);

    internal static Tensor AtLeast(this Tensor a, double least) => With(least, a.clamp_min);

    internal static Tensor IsAtLeast(this Tensor a, double least) => With(least, a.ge);

    internal static Tensor IsAbove(this Tensor a, double limit) => With(limit, a.gt);

    internal static Tensor IsZero(this Tensor a) => With(0, a.eq);

    internal static Tensor Squared(this Tensor a) => a.mul(a);

    private static Tensor With(double value, Func<Scalar, Tensor> operation)
    {
        Scalar scalar = value;
        Tensor result = operation(scalar);
        GC.KeepAlive(scalar);
        return result;
    }
}
