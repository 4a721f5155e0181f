namespace Eigengate.Inference.Sampling;

/// <summary>Step 3 of spec/http-api.md §7.1: only the listed tokens remain possible.</summary>
internal static class AllowedTokens
{
    public static void Apply(Span<float> logits, IReadOnlyList<int> allowed)
    {
        var kept = SamplingScratch.Current.Weights(allowed.Count);
        for (var i = 0; i < allowed.Count; i++)
            kept[i] = logits[allowed[i]];
        logits.Fill(float.NegativeInfinity);
        for (var i = 0; i < allowed.Count; i++)
            logits[allowed[i]] = kept[i];
    }
}
