namespace Eigengate.JointDiagonalization;

/// <summary>
/// The weight change of one module by one adapter, ΔW = scale · B · A, never materialised
/// (spec/adapters.md §2.1). Arrays are row-major: B [d_out, l], A [l, d_in].
/// </summary>
public sealed class LoraDelta
{
    /// <exception cref="ArgumentException">The arrays do not have the stated shapes.</exception>
    public LoraDelta(float[] b, float[] a, int outFeatures, int inFeatures, int rank, double scale)
    {
        if (rank <= 0 || outFeatures <= 0 || inFeatures <= 0)
            throw new ArgumentException($"rank {rank}, d_out {outFeatures} and d_in {inFeatures} must be positive");
        if (b.Length != (long)outFeatures * rank)
            throw new ArgumentException($"B has {b.Length} values; [{outFeatures}, {rank}] was expected", nameof(b));
        if (a.Length != (long)rank * inFeatures)
            throw new ArgumentException($"A has {a.Length} values; [{rank}, {inFeatures}] was expected", nameof(a));
        if (!double.IsFinite(scale))
            throw new ArgumentException($"the scale {scale} is not finite", nameof(scale));
        (B, A, OutFeatures, InFeatures, Rank, Scale) = (b, a, outFeatures, inFeatures, rank, scale);
    }

    /// <summary>[d_out, l]</summary>
    public float[] B { get; }

    /// <summary>[l, d_in]</summary>
    public float[] A { get; }

    public int OutFeatures { get; }

    public int InFeatures { get; }

    /// <summary>LoRA rank l.</summary>
    public int Rank { get; }

    /// <summary>alpha / l, or alpha / sqrt(l) for rank-stabilised LoRA.</summary>
    public double Scale { get; }
}
