namespace Eigengate.Inference.Sampling;

/// <summary>The k most likely tokens, of which top_p then keeps the head.</summary>
internal static class TopK
{
    /// <summary>Ids, best first, in the scratch buffer.</summary>
    /// <param name="logits">All logits, −∞ for impossible tokens.</param>
    /// <param name="k">At least 1.</param>
    /// <param name="topP">Applied to the distribution of the k tokens; 1 is off.</param>
    public static ReadOnlySpan<int> Select(ReadOnlySpan<float> logits, int k, float topP)
    {
        var scratch = SamplingScratch.Current;
        var ids = scratch.Ids(Math.Min(k, logits.Length));
        TopSelection.Select(logits, ids);
        if (topP >= 1)
            return ids;
        var weights = scratch.Weights(ids.Length);
        for (var i = 0; i < ids.Length; i++)
            weights[i] = logits[ids[i]];
        var sum = LogSoftmax.Exponentials(weights, weights[0], weights);
        return ids[..TopP.Count(weights, sum, topP)];
    }
}
