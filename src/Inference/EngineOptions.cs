using System.Diagnostics.CodeAnalysis;

namespace Eigengate.Inference;

/// <summary>Number type of weights, activations and KV cache; norms, attention and adapter cores always compute in float32.</summary>
public enum EngineDType
{
    [SuppressMessage("Naming", "CA1720", Justification = "the name of the number type is the meaning")]
    Float32,
    BFloat16,
}

/// <summary>Sizes and limits of one engine, fixed at load.</summary>
public sealed record EngineOptions
{
    /// <summary>cpu or cuda.</summary>
    public string Device { get; init; } = "cpu";

    public EngineDType DType { get; init; } = EngineDType.Float32;

    /// <summary>Number type of the adapters' cores on the device; bfloat16 halves the bytes that a step with distinct adapters moves.</summary>
    public EngineDType CoreDType { get; init; } = EngineDType.Float32;

    /// <summary>Blocks in the KV cache; when null, as many as fit in <see cref="KvCacheBytes"/>.</summary>
    public int? KvBlocks { get; init; }

    /// <summary>Memory of the KV cache over all layers, in bytes. Never more is taken than <see cref="MaxSequences"/> full contexts need.</summary>
    public long KvCacheBytes { get; init; } = 2L << 30;

    /// <summary>Token positions in a KV block.</summary>
    public int BlockSize { get; init; } = 16;

    /// <summary>Keep the full blocks of ended sequences, until the room is needed, for prompts that begin the same with the same adapter.</summary>
    public bool PrefixCache { get; init; } = true;

    /// <summary>Sequences that run at once.</summary>
    public int MaxSequences { get; init; } = 256;

    /// <summary>Tokens in one step, prompts and outputs together.</summary>
    public int MaxBatchedTokens { get; init; } = 2048;

    /// <summary>Sequences that wait to run; more are refused.</summary>
    public int MaxWaiting { get; init; } = 1024;

    /// <summary>Adapters on the device. Each slot is as wide as the largest cluster's cores; on the CPU only used ones take memory.</summary>
    public int AdapterSlots { get; init; } = 1024;

    /// <summary>Prompt and output together, in tokens; null takes the model's context length.</summary>
    public int? MaxModelLength { get; init; }

    /// <summary>Compute threads, the engine's own included; null takes one for a small model and every core otherwise. Give several engines on a host their share.</summary>
    public int? Threads { get; init; }

    /// <summary>Use plain torch operations on the CPU too: slower, for comparison.</summary>
    public bool ReferenceKernels { get; init; }

    /// <exception cref="ArgumentException">A value is out of range; the message names it.</exception>
    internal void Validate()
    {
        if (Device is not ("cpu" or "cuda"))
            throw new ArgumentException($"{nameof(Device)} is '{Device}'; cpu or cuda was expected");
        AtLeastOne(nameof(BlockSize), BlockSize);
        AtLeastOne(nameof(MaxSequences), MaxSequences);
        AtLeastOne(nameof(MaxBatchedTokens), MaxBatchedTokens);
        AtLeastOne(nameof(MaxWaiting), MaxWaiting);
        AtLeastOne(nameof(AdapterSlots), AdapterSlots);
        AtLeastOne(nameof(KvBlocks), KvBlocks ?? 1);
        AtLeastOne(nameof(KvCacheBytes), KvCacheBytes);
        AtLeastOne(nameof(MaxModelLength), MaxModelLength ?? 1);
        AtLeastOne(nameof(Threads), Threads ?? 1);
    }

    private static void AtLeastOne(string name, long value)
    {
        if (value < 1)
            throw new ArgumentException($"{name} is {value}; at least 1 was expected");
    }
}
