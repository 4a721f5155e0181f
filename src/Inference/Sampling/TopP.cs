namespace Eigengate.Inference.Sampling;

/// <summary>The smallest set of most likely tokens whose probability reaches p.</summary>
internal static class TopP
{
    private const int FirstGuess = 64;

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

    /// <summary>The ids of that set, best first, in the scratch buffer. Sorts only as many tokens as it needs.</summary>
    /// <param name="logits">All logits, −∞ for impossible tokens.</param>
    /// <param name="max">Their maximum.</param>
    /// <param name="p">In (0, 1).</param>
    public static ReadOnlySpan<int> Select(ReadOnlySpan<float> logits, float max, float p)
    {
        var scratch = SamplingScratch.Current;
        var weights = scratch.Weights(logits.Length);
        var sum = LogSoftmax.Exponentials(logits, max, weights);
        for (var guess = FirstGuess; ; guess *= 8)
        {
            var ids = scratch.Ids(Math.Min(guess, logits.Length));
            TopSelection.Select(logits, ids);
            double reached = 0;
            for (var i = 0; i < ids.Length; i++)
            {
                reached += weights[ids[i]];
                if (reached >= p * sum)
                    return ids[..(i + 1)];
            }

            if (ids.Length == logits.Length)
                return ids;
        }
    }
}
