using Eigengate.Inference;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>What the experiments with random models share.</summary>
internal sealed record LabOptions
{
    public required ModelShape Shape { get; init; }

    public required EngineDType DType { get; init; }

    public required int? Threads { get; init; }

    public required string Prompts { get; init; }

    public required Popularity Popularity { get; init; }

    public required BundleSizes Sizes { get; init; }

    public required int Rounds { get; init; }

    /// <summary>In a turn.</summary>
    public required int Requests { get; init; }

    /// <summary>Of a number on the device: weights, bases, cores and factors.</summary>
    public int ElementBytes => DType == EngineDType.BFloat16 ? 2 : 4;
}
