namespace Eigengate.Inference.Sampling;

/// <summary>The smallest set of most likely tokens whose probability reaches p.</summary>
internal static class TopP
{
    // The upper half of a non-negative float's bits orders it coarsely; weights are at most 1.
    private const int BucketShift = 16;
    private static readonly int Buckets = Bucket(1) + 1;

    [ThreadStatic]
    private static double[]? _masses;

    /// <summary>Number of leading weights, sorted from the largest, that reach <paramref name="p"/> of their sum.</summary>
    public static int Count(ReadOnlySpan<float> sortedWeights, double sum, float p)
    {
        double reached = 0;
        for (var i = 0; i < sortedWeights.Length; i++)
        {
            reached += sortedWeights[i];
            if (reached >= p * sum)
                return i + 1;
        }

        return sortedWeights.Length;
    }

    /// <summary>
    /// The ids of that set, in the scratch buffer. One pass finds the coarse bucket of weights in which p is reached;
    /// only the tokens of that bucket are sorted.
    /// </summary>
    /// <param name="logits">All logits, −∞ for impossible tokens.</param>
    /// <param name="max">Their maximum.</param>
    /// <param name="p">In (0, 1).</param>
    public static ReadOnlySpan<int> Select(ReadOnlySpan<float> logits, float max, float p)
    {
        var scratch = SamplingScratch.Current;
        var weights = scratch.Weights(logits.Length);
        var target = p * LogSoftmax.Exponentials(logits, max, weights);
        var (border, above) = FindBorder(weights, target);
        var ids = scratch.Ids(logits.Length);
        var keys = scratch.SortKeys(logits.Length);
        var kept = 0;
        var candidates = 0;
        for (var id = 0; id < weights.Length; id++)
        {
            var bucket = Bucket(weights[id]);
            if (bucket > border)
                ids[kept++] = id;
            else if (bucket == border)
                keys[candidates++] = LargestFirst(weights[id], id);
        }

        keys = keys[..candidates];
        keys.Sort();
        var reached = above;
        for (var i = 0; i < keys.Length && (i == 0 || reached < target); i++)
        {
            ids[kept] = (int)(uint)keys[i];
            reached += weights[ids[kept++]];
        }

        return ids[..kept];
    }

    /// <summary>Ascending keys are descending weights, and ascending ids among equal ones.</summary>
    private static ulong LargestFirst(float weight, int id) => (ulong)~BitConverter.SingleToUInt32Bits(weight) << 32 | (uint)id;

    private static (int Bucket, double MassAbove) FindBorder(ReadOnlySpan<float> weights, double target)
    {
        var masses = _masses ??= new double[Buckets];
        Array.Clear(masses);
        foreach (var weight in weights)
            masses[Bucket(weight)] += weight;
        double above = 0;
        for (var bucket = Buckets - 1; bucket > 0; bucket--)
        {
            if (above + masses[bucket] >= target)
                return (bucket, above);
            above += masses[bucket];
        }

        return (0, above);
    }

    private static int Bucket(float weight) => (int)(BitConverter.SingleToUInt32Bits(weight) >> BucketShift);
}
