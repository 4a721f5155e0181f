namespace Eigengate.JointDiagonalization;

internal enum RandomPurpose
{
    RangeFinder = 1,
    Centres = 2,
    Restart = 3,
    Sample = 4,
}

/// <summary>
/// Counter-based random numbers keyed by (seed, purpose, restart), so that no draw depends on how many were taken
/// elsewhere or on how many threads run (spec/joint-diagonalization.md §5). SplitMix64 over the counter.
/// </summary>
internal sealed class CounterRandom(ulong seed, RandomPurpose purpose, int restart)
{
    private readonly ulong _key = Mix(Mix(seed) ^ ((ulong)purpose << 32) ^ (uint)restart);
    private ulong _counter;

    /// <summary>Uniform in [0, 1).</summary>
    internal double NextDouble() => (Mix(_key + (++_counter * 0x9E3779B97F4A7C15UL)) >> 11) * (1.0 / (1UL << 53));

    internal double NextGaussian() => Math.Sqrt(-2 * Math.Log(1 - NextDouble())) * Math.Cos(2 * Math.PI * NextDouble());

    /// <summary>0 … count − 1 in random order.</summary>
    internal int[] Shuffled(int count)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        for (int i = count - 1; i > 0; i--)
        {
            int j = (int)(NextDouble() * (i + 1));
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }
}
