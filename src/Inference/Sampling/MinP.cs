using System.Numerics.Tensors;

namespace Eigengate.Inference.Sampling;

/// <summary>Tokens less likely than a fraction of the most likely one become impossible.</summary>
internal static class MinP
{
    public static void Apply(Span<float> logits, float minP)
    {
        var threshold = TensorPrimitives.Max<float>(logits) + MathF.Log(minP);
        for (var id = 0; id < logits.Length; id++)
        {
            if (logits[id] < threshold)
                logits[id] = float.NegativeInfinity;
        }
    }
}
