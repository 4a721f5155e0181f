using Eigengate.JointDiagonalization.Peft;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Planning;

/// <summary>
/// What a compressed collection costs before anything is compressed, from the real shapes of the adapted modules
/// (spec/joint-diagonalization.md §8). Weights alone: file headers and manifests are not counted. Ranks count in full,
/// although a cluster whose adapters span less than its rank stores less.
/// </summary>
public sealed class MemoryPlan
{
    private readonly PlanSettings _settings;
    private readonly long _basisNumbers;

    /// <param name="modules">[d_out, d_in] of every adapted module.</param>
    /// <param name="settings">Ranks, clusters and storage types.</param>
    /// <exception cref="ArgumentException">No module, or impossible settings.</exception>
    public MemoryPlan(IReadOnlyCollection<ModuleShape> modules, PlanSettings settings)
    {
        if (modules.Count == 0)
            throw new ArgumentException("a plan needs at least one module", nameof(modules));
        settings.Validate();
        _settings = settings;
        foreach (ModuleShape module in modules)
        {
            var (rankU, rankV) = RanksOf(module);
            _basisNumbers += ((long)module.OutFeatures * rankU) + ((long)module.InFeatures * rankV);
            bool diagonal = settings.Method == CompressionMethod.Diagonal;
            long core = diagonal ? rankU : (long)rankU * rankV;
            long residual = (long)ResidualRankOf(module) * (module.OutFeatures + module.InFeatures);
            PrivateNumbers += core + residual;
            AdapterBytes += CoreBytes(core, diagonal ? 1 : rankU) + (residual * settings.DType.Size());
            LoraNumbers += (long)settings.LoraRank * (module.OutFeatures + module.InFeatures);
        }
    }

    /// <summary>Numbers that each compressed adapter has for itself: its cores and residuals. Scales of int8 rows are not counted.</summary>
    public long PrivateNumbers { get; }

    /// <summary>Numbers in A and B of one adapter as it is.</summary>
    public long LoraNumbers { get; }

    /// <summary>Bytes of each compressed adapter: cores, their scales, residuals.</summary>
    public long AdapterBytes { get; }

    /// <summary>Bytes of one adapter as it is.</summary>
    public long LoraBytes => LoraNumbers * _settings.LoraDType.Size();

    /// <summary>1 − private numbers / LoRA numbers: what each further adapter saves (the first figure of the paper's column).</summary>
    public double SavedPerAdapter => 1 - ((double)PrivateNumbers / LoraNumbers);

    /// <summary>Numbers in the shared bases of all clusters; there are no more clusters than adapters.</summary>
    public long BasisNumbers(long adapters) => Math.Min(_settings.Clusters, adapters) * _basisNumbers;

    /// <summary>Bytes of the shared bases of all clusters.</summary>
    public long BasisBytes(long adapters) => BasisNumbers(adapters) * _settings.DType.Size();

    /// <summary>Bytes of bases and cores together.</summary>
    public long TotalBytes(long adapters) => BasisBytes(adapters) + (adapters * AdapterBytes);

    /// <summary>1 − all stored numbers / all LoRA numbers (the second figure); negative when the bases cost more than they save.</summary>
    public double Saved(long adapters) => 1 - (PlainEquivalent(adapters) / adapters);

    /// <summary>As many uncompressed adapters have as many numbers.</summary>
    public double PlainEquivalent(long adapters) => (BasisNumbers(adapters) + ((double)adapters * PrivateNumbers)) / LoraNumbers;

    /// <summary>Adapters that a plain multi-LoRA server may hold in the same memory, rounded up in its favour.</summary>
    public long PlainAdapters(long adapters) => (long)Math.Ceiling(PlainEquivalent(adapters));

    /// <summary>The largest number of compressed adapters within this many bytes; 0 when not even one fits.</summary>
    public long AdaptersIn(long bytes)
    {
        // Up to C adapters each brings a cluster of its own; from there on only cores.
        long perFirst = (_basisNumbers * _settings.DType.Size()) + AdapterBytes;
        return bytes < _settings.Clusters * perFirst
            ? bytes / perFirst
            : (bytes - BasisBytes(_settings.Clusters)) / AdapterBytes;
    }

    /// <summary>The largest number of uncompressed adapters within this many bytes.</summary>
    public long PlainAdaptersIn(long bytes) => bytes / LoraBytes;

    private long CoreBytes(long numbers, int rows) =>
        (_settings.CoreDType ?? _settings.DType) is var type && type == DType.I8 ? numbers + ((long)rows * sizeof(float)) : numbers * type.Size();

    /// <summary>A remainder has no more directions than the product and what was taken off it span.</summary>
    private int ResidualRankOf(ModuleShape module) => Math.Min(_settings.Residual, Math.Min(module.OutFeatures, module.InFeatures));

    private (int U, int V) RanksOf(ModuleShape module)
    {
        int rankU = Math.Min(_settings.RankU, module.OutFeatures), rankV = Math.Min(_settings.RankV, module.InFeatures);
        if (_settings.Method == CompressionMethod.Diagonal)
            rankU = rankV = Math.Min(rankU, rankV);
        return (rankU, rankV);
    }
}
