using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// The baseline that shares nothing: each product alone, cut to its t largest singular values. Its error is the least of
/// any rank-t adapter (Eckart–Young), for t·(d_out + d_in) numbers per adapter and module. It needs no bundle: the result
/// is an ordinary LoRA delta of rank t.
/// </summary>
public static class TruncatedSvd
{
    /// <summary>Matrices up to this smaller dimension are decomposed exactly.</summary>
    private const int DenseLimit = 1024;

    private const int Oversampling = 16;
    private const int Passes = 8;

    /// <summary>Relative squared error of each product at this rank, in their order; 0 is lossless.</summary>
    public static double[] Errors(CanonicalFactors factors, int rank)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        var errors = new double[factors.Count];
        for (int i = 0; i < errors.Length; i++)
            errors[i] = factors.SingularValues(i).Skip(rank).Sum(s => s * s) / (factors.Norms[i] * factors.Norms[i]);
        return errors;
    }

    /// <summary>The best delta of this rank, scale 1; of lower rank when the product itself has less, and of rank 1 when it is zero.</summary>
    public static LoraDelta Truncate(LoraDelta delta, int rank)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rank);
        using var scope = NewDisposeScope();
        using CanonicalFactors factors = CanonicalFactors.From([(0, delta)]);
        if (factors.Count == 0)
            return new LoraDelta(new float[delta.OutFeatures], new float[delta.InFeatures], delta.OutFeatures, delta.InFeatures, 1, 1);
        int kept = Math.Min(rank, factors.SingularValues(0).Length);
        // Singular pairs are the rows of F and G, largest first.
        Tensor b = factors.F.narrow(0, 0, kept).t() * factors.Norms[0];
        return new LoraDelta(b.ToFloats(), factors.G.narrow(0, 0, kept).ToFloats(), delta.OutFeatures, delta.InFeatures, kept, 1);
    }

    /// <summary>
    /// The r largest singular triplets of a dense matrix, fewer when it has lower rank: U [d_out, r], falling s, V [d_in, r].
    /// Large matrices by subspace iteration from a seeded start, whose error is near the least, not exactly it.
    /// </summary>
    internal static (Tensor U, float[] S, Tensor V) OfDense(Tensor matrix, int rank, ulong seed)
    {
        using var scope = NewDisposeScope();
        Tensor? range = Math.Min(matrix.shape[0], matrix.shape[1]) <= DenseLimit ? null : Range(matrix, rank + Oversampling, seed);
        var (u, s, vt) = linalg.svd((range is null ? matrix : range.t().mm(matrix)).to(ScalarType.Float64), fullMatrices: false);
        double[] values = s.ToDoubles();
        int kept = Math.Max(1, values.Take(rank).Count(value => value > CanonicalFactors.RankTolerance * values[0]));
        u = u.narrow(1, 0, kept).to(matrix.dtype);
        return (
            (range is null ? u : range.mm(u)).contiguous().MoveToOuterDisposeScope(),
            [.. values.Take(kept).Select(value => (float)value)],
            vt.narrow(0, 0, kept).t().to(matrix.dtype).contiguous().MoveToOuterDisposeScope());
    }

    /// <summary>Orthonormal columns near the leading left singular vectors.</summary>
    private static Tensor Range(Tensor matrix, int width, ulong seed)
    {
        var random = new CounterRandom(seed, RandomPurpose.RangeFinder, 0);
        width = (int)Math.Min(width, Math.Min(matrix.shape[0], matrix.shape[1]));
        float[] start = new float[matrix.shape[1] * width];
        for (int i = 0; i < start.Length; i++)
            start[i] = (float)random.NextGaussian();
        Tensor columns = matrix.mm(tensor(start, [matrix.shape[1], width]));
        for (int pass = 0; pass < Passes; pass++)
            columns = matrix.mm(matrix.t().mm(TensorMath.Orthonormalise(columns).to(matrix.dtype)));
        return TensorMath.Orthonormalise(columns).to(matrix.dtype);
    }
}
