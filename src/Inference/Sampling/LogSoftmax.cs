using System.Numerics.Tensors;

namespace Eigengate.Inference.Sampling;

/// <summary>Natural-log probabilities of logits: x − max − ln Σ exp(x − max), exponentials in float, the sum in double.</summary>
internal static class LogSoftmax
{
    // Float sums of this many terms lose nothing that matters; the sums are added in double.
    private const int Block = 512;

    /// <summary>Writes exp(logit − max) and returns their sum. All zero when every logit is −∞.</summary>
    public static double Exponentials(ReadOnlySpan<float> logits, float max, Span<float> weights)
    {
        weights = weights[..logits.Length];
        if (float.IsNegativeInfinity(max))
        {
            weights.Clear();
            return 0;
        }

        TensorPrimitives.Subtract(logits, max, weights);
        TensorPrimitives.Exp(weights, weights);
        double sum = 0;
        for (var at = 0; at < weights.Length; at += Block)
            sum += TensorPrimitives.Sum(weights.Slice(at, Math.Min(Block, weights.Length - at)));
        return sum;
    }

    /// <summary>The value to subtract from a logit: its log-probability is <c>(float)(logit − result)</c>.</summary>
    public static double Normalizer(ReadOnlySpan<float> logits)
    {
        var max = TensorPrimitives.Max(logits);
        return max + Math.Log(Exponentials(logits, max, SamplingScratch.Current.Weights(logits.Length)));
    }
}
