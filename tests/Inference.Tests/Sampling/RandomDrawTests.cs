using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Tests.Sampling;

/// <summary>Frequencies against the probabilities of the definition, with fixed seeds.</summary>
public class RandomDrawTests
{
    private static readonly float[] Logits = [1.5f, 0.2f, -1f, 2.5f, 0f, 0.2f, -0.5f, 1f];

    [Theory]
    [InlineData(1f)]
    [InlineData(0.5f)]
    [InlineData(2f)]
    public void Temperature_divides_the_logits(float temperature) =>
        Samplers.AssertFrequencies(
            new SamplingParams { MaxTokens = 1, Temperature = temperature },
            Logits,
            Samplers.Softmax(Logits.Select(x => (double)x / temperature)));

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(100)]
    public void Top_k_keeps_the_k_most_likely_and_the_lower_id_among_equals(int k) =>
        Samplers.AssertFrequencies(
            new SamplingParams { MaxTokens = 1, TopK = k },
            Logits,
            Only(BestFirst().Take(k), 1));

    [Theory]
    [InlineData(0.05f)]
    [InlineData(0.6f)]
    [InlineData(0.9f)]
    [InlineData(0.999f)]
    public void Top_p_keeps_the_smallest_set_that_reaches_p(float p) =>
        Samplers.AssertFrequencies(
            new SamplingParams { MaxTokens = 1, TopP = p },
            Logits,
            Only(Reaching(BestFirst(), Samplers.Softmax(Logits.Select(x => (double)x)), p), 1));

    [Theory]
    [InlineData(0.1f)]
    [InlineData(0.3f)]
    [InlineData(1f)]
    public void Min_p_drops_what_is_less_likely_than_that_fraction_of_the_best(float minP)
    {
        var probabilities = Samplers.Softmax(Logits.Select(x => (double)x));
        Samplers.AssertFrequencies(
            new SamplingParams { MaxTokens = 1, MinP = minP },
            Logits,
            Only(BestFirst().Where(id => probabilities[id] >= minP * probabilities.Max()), 1));
    }

    [Fact]
    public void Filters_apply_after_temperature_and_top_p_to_the_distribution_that_top_k_left()
    {
        const float Temperature = 1.7f;
        var kept = BestFirst().Take(4).ToArray();
        var weights = Only(kept, Temperature);
        Samplers.AssertFrequencies(
            new SamplingParams { MaxTokens = 1, Temperature = Temperature, TopK = 4, TopP = 0.8f, MinP = 0.05f },
            Logits,
            Only(Reaching(kept, weights, 0.8), Temperature));
    }

    [Fact]
    public void Top_p_over_a_flat_wide_vocabulary_keeps_exactly_its_share()
    {
        var flat = new float[1000];
        var sampler = Samplers.Build(new SamplingParams { MaxTokens = 1, TopP = 0.5f, Seed = 1 }, flat.Length);
        var drawn = Enumerable.Range(0, 8_000).Select(_ => sampler.Sample(flat).TokenId).ToHashSet();
        Assert.Equal(Enumerable.Range(0, 500), drawn.Order());
    }

    [Fact]
    public void A_tiny_temperature_is_raised_to_one_hundredth()
    {
        float[] logits = [0, 0.01f];
        Samplers.AssertFrequencies(
            new SamplingParams { MaxTokens = 1, Temperature = 0.0001f },
            logits,
            Samplers.Softmax([0, 1]));
    }

    [Fact]
    public void The_same_seed_gives_the_same_tokens_whatever_happens_between()
    {
        var logits = Samplers.Logits(3, 500);
        var alone = Samplers.Build(Samplers.Seeded(5), logits.Length);
        var first = Enumerable.Range(0, 50).Select(_ => alone.Sample(logits).TokenId).ToList();
        var again = Samplers.Build(Samplers.Seeded(5), logits.Length);
        var neighbour = Samplers.Build(Samplers.Seeded(6), logits.Length);
        var second = new List<int>();
        var other = new List<int>();
        for (var i = 0; i < 50; i++)
        {
            other.Add(neighbour.Sample(logits).TokenId);
            second.Add(again.Sample(logits).TokenId);
        }

        Assert.Equal(first, second);
        Assert.NotEqual(first, other);
    }

    [Fact]
    public void Sequences_without_a_seed_differ()
    {
        var flat = new float[10_000];
        var p = new SamplingParams { MaxTokens = 1 };
        var drawn = Enumerable.Range(0, 5).Select(_ => Samplers.Build(p, flat.Length).Sample(flat).TokenId).ToHashSet();
        Assert.True(drawn.Count > 1);
    }

    private static IEnumerable<int> BestFirst() => Enumerable.Range(0, Logits.Length).OrderByDescending(id => Logits[id]).ThenBy(id => id);

    private static List<int> Reaching(IEnumerable<int> bestFirst, double[] probabilities, double p)
    {
        var kept = new List<int>();
        double reached = 0;
        foreach (var id in bestFirst)
        {
            kept.Add(id);
            reached += probabilities[id];
            if (reached >= p)
                break;
        }

        return kept;
    }

    private static double[] Only(IEnumerable<int> ids, double temperature)
    {
        var kept = ids.ToHashSet();
        return Samplers.Softmax(Logits.Select((x, id) => kept.Contains(id) ? x / temperature : double.NegativeInfinity));
    }
}
