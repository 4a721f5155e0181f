using Eigengate.JointDiagonalization.Fitting;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization;

/// <summary>Settings of a compression run; checked when it starts.</summary>
public sealed record CompressorOptions
{
    public const int DefaultRank = 16;
    public const int DefaultClusters = 1;

    /// <summary>Of the paper of TIES merging: the fifth of a change that is largest.</summary>
    public const double DefaultKeep = 0.2;

    /// <summary>Folder to write; must not exist, or be a bundle when <see cref="Overwrite"/> is set.</summary>
    public required string Output { get; init; }

    public CompressionMethod Method { get; init; } = CompressionMethod.Full;

    /// <summary>Upper limit of r_U, columns of U; of the rank of each product for <see cref="CompressionMethod.Svd"/> and <see cref="CompressionMethod.Ties"/>.</summary>
    public int RankU { get; init; } = DefaultRank;

    /// <summary>Upper limit of r_V, columns of V; equal to <see cref="RankU"/> unless the method is <see cref="CompressionMethod.Full"/>.</summary>
    public int RankV { get; init; } = DefaultRank;

    /// <summary>
    /// t: largest singular pairs of what the core misses, kept for each adapter and module at t·(d_out + d_in) numbers
    /// (spec/joint-diagonalization.md §11).
    /// </summary>
    public int Residual { get; init; }

    /// <summary>Share of the largest entries of each product that a TIES merge keeps.</summary>
    public double Keep { get; init; } = DefaultKeep;

    /// <summary>λ: what a TIES merge is multiplied by.</summary>
    public double MergeScale { get; init; } = 1;

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

    /// <summary>Storage type of bases and private residuals: F32, BF16 or F16. The fit itself is float32.</summary>
    public DType DType { get; init; } = DType.F32;

    /// <summary>Storage type of cores: F32, BF16, F16, or I8 with a scale for each row. Null: as <see cref="DType"/>.</summary>
    public DType? CoreDType { get; init; }

    /// <summary>Fail on the first adapter that cannot be used instead of leaving it out.</summary>
    public bool Strict { get; init; }

    public bool Overwrite { get; init; }

    /// <summary>Name of the base model for the manifest; when null, the one that all adapters state.</summary>
    public string? BaseModel { get; init; }

    /// <summary>Folder of the base model; when given, adapters must match its shapes.</summary>
    public string? BaseModelFolder { get; init; }

    /// <summary>
    /// Modules on which the report's figure shows other ranks and numbers of clusters; 0 leaves the figure out. Null: up to
    /// four, as few as the size of the collection demands.
    /// </summary>
    public int? FigureModules { get; init; }

    internal DType EffectiveCoreDType => CoreDType ?? DType;

    internal int EffectiveIterations => Iterations ?? CompressionMethods.DefaultIterations(Method);

    internal void Validate()
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(Output);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(RankU);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(RankV);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Clusters);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Iterations ?? 1, nameof(Iterations));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Threads ?? 1);
        ArgumentOutOfRangeException.ThrowIfNegative(Restarts);
        if (Tolerance is < 0 or >= 1 or double.NaN)
            throw new ArgumentOutOfRangeException(nameof(Tolerance), Tolerance, "a fraction of the error from 0 to below 1 was expected");
        ArgumentOutOfRangeException.ThrowIfNegative(Residual);
        ArgumentOutOfRangeException.ThrowIfNegative(FigureModules ?? 0, nameof(FigureModules));
        ValidateMethod();
        if (DType is not (DType.F32 or DType.BF16 or DType.F16))
            throw new ArgumentOutOfRangeException(nameof(DType), DType, "bases and private residuals are stored as F32, BF16 or F16");
        if (EffectiveCoreDType is not (DType.F32 or DType.BF16 or DType.F16 or DType.I8))
            throw new ArgumentOutOfRangeException(nameof(CoreDType), CoreDType, "cores are stored as F32, BF16, F16 or I8");
    }

    private void ValidateMethod()
    {
        string name = CompressionMethods.NameOf(Method);
        if (Method == CompressionMethod.Diagonal && RankU != RankV)
            throw new ArgumentException($"diagonal cores need equal ranks; r_U is {RankU} and r_V is {RankV}", nameof(RankV));
        if (!CompressionMethods.IsJoint(Method))
        {
            if (RankU != RankV)
                throw new ArgumentException($"{name} has one rank; r_U is {RankU} and r_V is {RankV}", nameof(RankV));
            if (Clusters != 1)
                throw new ArgumentException($"{name} has no clusters, but {Clusters} were asked for", nameof(Clusters));
            if (Residual != 0)
                throw new ArgumentException($"{name} has no private residual, but one of rank {Residual} was asked for", nameof(Residual));
        }

        if (Keep is not (> 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(Keep), Keep, "a share above 0 and up to 1 was expected");
        if (!double.IsFinite(MergeScale))
            throw new ArgumentOutOfRangeException(nameof(MergeScale), MergeScale, "a finite number was expected");
    }
}
