namespace Eigengate.Inference.Sampling;

/// <summary>
/// Random numbers of one sequence: SplitMix64, whose n-th value depends on the seed and n alone, so neither batch
/// neighbours nor preemption change it.
/// </summary>
internal struct SequenceRandom(ulong seed)
{
    private const ulong Step = 0x9E3779B97F4A7C15;

    // Mixed once, so that neighbouring seeds do not give overlapping streams.
    private ulong _state = Mix(seed + Step);

    /// <summary>Uniform in [0, 1), 53 bits.</summary>
    public double NextDouble()
    {
        _state += Step;
        return (Mix(_state) >> 11) * (1.0 / (1UL << 53));
    }

    private static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
