using Eigengate.JointDiagonalization.Fitting;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization;

/// <summary>Settings of a compression run; checked when it starts.</summary>
public sealed record CompressorOptions
{
    public const int DefaultRank = 16;
    public const int DefaultClusters = 1;

    /// <summary>Folder to write; must not exist, or be a bundle when <see cref="Overwrite"/> is set.</summary>
    public required string Output { get; init; }

    public CompressionMethod Method { get; init; } = CompressionMethod.Full;

    /// <summary>Upper limit of r_U, columns of U.</summary>
    public int RankU { get; init; } = DefaultRank;

    /// <summary>Upper limit of r_V, columns of V; equal to <see cref="RankU"/> for diagonal cores.</summary>
    public int RankV { get; init; } = DefaultRank;

    /// <summary>Number of adapter clusters, each with bases of its own; fewer when there are fewer adapters.</summary>
    public int Clusters { get; init; } = DefaultClusters;

    public ulong Seed { get; init; }

    /// <summary>
    /// Upper limit of iterations of the final fits; they stop earlier when the error no longer falls. Null: 10 for
    /// <see cref="CompressionMethod.Full"/>, 200 sweeps for <see cref="CompressionMethod.Diagonal"/>.
    /// </summary>
    public int? Iterations { get; init; }

    /// <summary>Further starts of every fit of <see cref="CompressionMethod.Full"/>, the best of which is kept.</summary>
    public int Restarts { get; init; }

    /// <summary>Stop a fit when an iteration lowers its error by less than this fraction; null takes the method's default.</summary>
    public double? Tolerance { get; init; }

    /// <summary>Half-step of <see cref="CompressionMethod.Full"/>.</summary>
    public HalfStepMethod Algorithm { get; init; } = HalfStepMethod.Krylov;

    /// <summary>Torch device: "cpu" or "cuda".</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>
    /// Compute threads; null takes one for small modules, where two threads spend their time waiting for each other, and
    /// every core otherwise. Equal bytes need equal threads: sums are split among them.
    /// </summary>
    public int? Threads { get; init; }

    /// <summary>Storage type of bases and cores: F32, BF16 or F16. The fit itself is float32.</summary>
    public DType DType { get; init; } = DType.F32;

    /// <summary>Fail on the first adapter that cannot be used instead of leaving it out.</summary>
    public bool Strict { get; init; }

    public bool Overwrite { get; init; }

    /// <summary>Name of the base model for the manifest; when null, the one that all adapters state.</summary>
    public string? BaseModel { get; init; }

    /// <summary>Folder of the base model; when given, adapters must match its shapes.</summary>
    public string? BaseModelFolder { get; init; }

    internal int EffectiveIterations => Iterations ?? CompressionMethods.DefaultIterations(Method);

    internal void Validate()
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(Output);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(RankU);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(RankV);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Clusters);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(EffectiveIterations, nameof(Iterations));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Threads ?? 1);
        ArgumentOutOfRangeException.ThrowIfNegative(Restarts);
        if (Tolerance is < 0 or >= 1 or double.NaN)
            throw new ArgumentOutOfRangeException(nameof(Tolerance), Tolerance, "a fraction of the error from 0 to below 1 was expected");
        if (Method == CompressionMethod.Diagonal && RankU != RankV)
            throw new ArgumentException($"diagonal cores need equal ranks; r_U is {RankU} and r_V is {RankV}", nameof(RankV));
        if (DType is not (DType.F32 or DType.BF16 or DType.F16))
            throw new ArgumentOutOfRangeException(nameof(DType), DType, "bases and cores are stored as F32, BF16 or F16");
    }
}
