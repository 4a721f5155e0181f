namespace Eigengate.Inference.Sampling;

/// <summary>Step 4 of spec/http-api.md §7.1: a token that would complete a forbidden sequence in the output is impossible.</summary>
internal static class BadWords
{
    public static void Apply(Span<float> logits, IReadOnlyList<int[]> badWords, ReadOnlySpan<int> output)
    {
        foreach (var word in badWords)
        {
            if (word.Length > 0 && output.EndsWith(word.AsSpan(0, word.Length - 1)))
                logits[word[^1]] = float.NegativeInfinity;
        }
    }
}
