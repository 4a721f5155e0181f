using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Planning;

/// <summary>How a collection would be compressed, as far as it decides sizes.</summary>
public sealed record PlanSettings
{
    public CompressionMethod Method { get; init; } = CompressionMethod.Full;

    /// <summary>r_U, capped at d_out in each module.</summary>
    public int RankU { get; init; } = CompressorOptions.DefaultRank;

    /// <summary>r_V, capped at d_in in each module.</summary>
    public int RankV { get; init; } = CompressorOptions.DefaultRank;

    public int Clusters { get; init; } = CompressorOptions.DefaultClusters;

    /// <summary>t: rank of what each adapter keeps for itself of the remainder M − UΣVᵀ, t·(d_out + d_in) numbers per module.</summary>
    public int Residual { get; init; }

    /// <summary>Storage type of bases and residuals, and of cores unless <see cref="CoreDType"/> says otherwise.</summary>
    public DType DType { get; init; } = DType.F32;

    /// <summary>Storage type of cores; null is <see cref="DType"/>. I8 takes a byte per number and a float32 scale per row.</summary>
    public DType? CoreDType { get; init; }

    /// <summary>Rank l of the adapters to compress.</summary>
    public int LoraRank { get; init; } = 16;

    /// <summary>Storage type of the adapters to compress.</summary>
    public DType LoraDType { get; init; } = DType.F32;

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(RankU);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(RankV);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Clusters);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(LoraRank);
        ArgumentOutOfRangeException.ThrowIfNegative(Residual);
        if (DType is not (DType.F32 or DType.BF16 or DType.F16))
            throw new ArgumentOutOfRangeException(nameof(DType), DType, "bases and residuals are stored as F32, BF16 or F16");
        if (CoreDType is not (null or DType.F32 or DType.BF16 or DType.F16 or DType.I8))
            throw new ArgumentOutOfRangeException(nameof(CoreDType), CoreDType, "cores are stored as F32, BF16, F16 or I8");
        if (Method == CompressionMethod.Diagonal && RankU != RankV)
            throw new ArgumentException($"diagonal cores need equal ranks; r_U is {RankU} and r_V is {RankV}", nameof(RankV));
    }
}
