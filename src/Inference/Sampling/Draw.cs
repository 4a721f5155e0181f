using System.Numerics.Tensors;

namespace Eigengate.Inference.Sampling;

/// <summary>The last step: one token at random, in proportion to exp(logit).</summary>
internal static class Draw
{
    /// <summary>Draws among all tokens.</summary>
    /// <param name="logits">−∞ for impossible tokens; at least one is possible.</param>
    /// <param name="max">Their maximum.</param>
    /// <param name="uniform">In [0, 1).</param>
    public static int FromAll(ReadOnlySpan<float> logits, float max, double uniform)
    {
        var weights = SamplingScratch.Current.Weights(logits.Length);
        return Walk(weights, uniform * LogSoftmax.Exponentials(logits, max, weights));
    }

    /// <summary>Draws among some tokens.</summary>
    public static int From(ReadOnlySpan<int> ids, ReadOnlySpan<float> logits, double uniform)
    {
        var weights = SamplingScratch.Current.Weights(ids.Length);
        for (var i = 0; i < ids.Length; i++)
            weights[i] = logits[ids[i]];
        return ids[Walk(weights, uniform * LogSoftmax.Exponentials(weights, TensorPrimitives.Max<float>(weights), weights))];
    }

    private static int Walk(ReadOnlySpan<float> weights, double target)
    {
        var last = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            if (weights[i] <= 0)
                continue;
            last = i;
            target -= weights[i];
            if (target < 0)
                return i;
        }

        // Rounding can leave a rest after the last possible token.
        return last;
    }
}
