using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Tests.Sampling;

/// <summary>Short ways to build samplers and logits. EOS is the last id unless a test says otherwise.</summary>
internal static class Samplers
{
    public static SamplingParams Greedy { get; } = new() { MaxTokens = 100, Temperature = 0 };

    public static SamplingParams Seeded(long seed) => new() { MaxTokens = 100, Seed = seed };

    public static TokenSampler Build(SamplingParams p, int vocabularySize, int[]? prompt = null, int[]? extraEos = null) =>
        new(p, vocabularySize, vocabularySize - 1, extraEos ?? [], prompt ?? []);

    /// <summary>Logits in [−8, 8] with many exact ties.</summary>
    public static float[] Logits(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => MathF.Round((float)(random.NextDouble() * 16 - 8), 1))];
    }

    /// <summary>Probabilities in double, straight from the definition.</summary>
    public static double[] Softmax(IEnumerable<double> logits)
    {
        var weights = logits.Select(Math.Exp).ToArray();
        var sum = weights.Sum();
        return [.. weights.Select(w => w / sum)];
    }

    /// <summary>Draws once from each of many seeds and asks that the counts fit the probabilities (chi-square, 1e-4).</summary>
    public static void AssertFrequencies(SamplingParams p, float[] logits, double[] expected)
    {
        const int Draws = 20_000;
        var counts = new int[logits.Length];
        var sampler = Build(p with { Seed = 11 }, logits.Length);
        for (var i = 0; i < Draws / 2; i++)
        {
            counts[sampler.Sample(logits).TokenId]++;
            counts[Build(p with { Seed = i }, logits.Length).Sample(logits).TokenId]++;
        }

        double chiSquare = 0;
        var kinds = 0;
        for (var id = 0; id < logits.Length; id++)
        {
            if (expected[id] == 0)
            {
                Assert.True(counts[id] == 0, $"token {id} was drawn {counts[id]} times but is impossible");
                continue;
            }

            kinds++;
            chiSquare += Math.Pow(counts[id] - Draws * expected[id], 2) / (Draws * expected[id]);
        }

        // Wilson-Hilferty: the upper 1e-4 point of chi-square with that many degrees of freedom.
        double freedom = Math.Max(1, kinds - 1);
        var limit = freedom * Math.Pow(1 - 2 / (9 * freedom) + 3.719 * Math.Sqrt(2 / (9 * freedom)), 3);
        Assert.True(chiSquare < limit, $"chi-square {chiSquare:F1} over {limit:F1}");
    }
}
