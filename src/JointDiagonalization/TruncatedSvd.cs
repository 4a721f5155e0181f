using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// The baseline that shares nothing: each product alone, cut to its t largest singular values. Its error is the least of
/// any rank-t adapter (Eckart–Young), for t·(d_out + d_in) numbers per adapter and module. It needs no bundle: the result
/// is an ordinary LoRA delta of rank t.
/// </summary>
public static class TruncatedSvd
{
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
}
