using CsCheck;
using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Tests.Sampling;

/// <summary>The steps that change logits, seen through the greedy choice. The vocabulary has 6 tokens; 5 is EOS.</summary>
public class SamplingStepTests
{
    private static readonly float[] Descending = [5, 4, 3, 2, 1, 0];

    [Fact]
    public void Greedy_takes_the_lowest_id_among_equals() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.Int[1, 300]).Sample((seed, count) =>
        {
            var logits = Samplers.Logits(seed, count);
            return Samplers.Build(Samplers.Greedy, count).Sample(logits).TokenId == Array.IndexOf(logits, logits.Max());
        });

    [Fact]
    public void Greedy_ignores_top_p_top_k_and_min_p() =>
        Assert.Equal(0, Samplers.Build(Samplers.Greedy with { TopK = 1, TopP = 0.1f, MinP = 0.5f }, 6).Sample(Descending).TokenId);

    [Fact]
    public void Only_allowed_tokens_are_chosen()
    {
        Assert.Equal(3, Samplers.Build(Samplers.Greedy with { AllowedTokenIds = [4, 3] }, 6).Sample(Descending).TokenId);
        Samplers.AssertFrequencies(
            new SamplingParams { MaxTokens = 1, AllowedTokenIds = [4, 3, 0] },
            Descending,
            Samplers.Softmax([5, double.NegativeInfinity, double.NegativeInfinity, 2, 1, double.NegativeInfinity]));
    }

    [Fact]
    public void A_bad_word_is_forbidden_only_where_it_would_be_completed()
    {
        var sampler = Samplers.Build(Samplers.Greedy with { BadWords = [[0, 0, 1], [0, 0, 0]] }, 6, prompt: [0, 0]);
        Assert.Equal([0, 0, 2, 0, 0, 2], Enumerable.Range(0, 6).Select(_ => sampler.Sample(Descending).TokenId));
    }

    [Fact]
    public void A_bad_word_of_one_token_is_always_forbidden() =>
        Assert.Equal(1, Samplers.Build(Samplers.Greedy with { BadWords = [[0]] }, 6).Sample(Descending).TokenId);

    [Fact]
    public void Ends_are_impossible_before_min_tokens()
    {
        float[] ascending = [0, 1, 2, 3, 4, 5];
        var sampler = Samplers.Build(Samplers.Greedy with { MinTokens = 2, StopTokenIds = [4] }, 6, extraEos: [3]);
        Assert.Equal([2, 2, 5], Enumerable.Range(0, 3).Select(_ => sampler.Sample(ascending).TokenId));
    }

    [Fact]
    public void A_bias_is_added_but_does_not_revive_what_is_masked()
    {
        var p = Samplers.Greedy with { LogitBias = new Dictionary<int, float> { [4] = 10, [5] = 100, [99] = 1 }, MinTokens = 1 };
        Assert.Equal(4, Samplers.Build(p, 6).Sample(Descending).TokenId);
    }

    [Fact]
    public void Repetition_divides_positive_and_multiplies_negative_logits_of_prompt_and_output()
    {
        // Prompt token 0: 3/2 = 1.5. Then 1 (2.0) is best, becomes 1.0 and leaves 0; a second time nothing changes.
        var sampler = Samplers.Build(Samplers.Greedy with { RepetitionPenalty = 2 }, 6, prompt: [0, 0]);
        float[] logits = [3, 2, -1, -1, -9, -9];
        Assert.Equal([1, 0, 0], Enumerable.Range(0, 3).Select(_ => sampler.Sample(logits).TokenId));

        // Token 2 was seen and falls from −1 to −2, below −1.5.
        var negative = Samplers.Build(Samplers.Greedy with { RepetitionPenalty = 2 }, 6, prompt: [2]);
        Assert.Equal(1, negative.Sample([-9, -1.5f, -1, -9, -9, -9]).TokenId);
    }

    [Fact]
    public void Frequency_counts_the_output_and_not_the_prompt()
    {
        // 0: 5, 4, 3, … by how often it was chosen; 1 stays 3.5 until it is chosen once, then 2.5.
        var sampler = Samplers.Build(Samplers.Greedy with { FrequencyPenalty = 1 }, 6, prompt: [0, 0, 0]);
        float[] logits = [5, 3.5f, 0, 0, 0, 0];
        Assert.Equal([0, 0, 1, 0, 1, 0], Enumerable.Range(0, 6).Select(_ => sampler.Sample(logits).TokenId));
    }

    [Fact]
    public void Presence_is_subtracted_once()
    {
        // 0: 5, then 3.5 for ever; 1: 4, then 2.5 for ever.
        var sampler = Samplers.Build(Samplers.Greedy with { PresencePenalty = 1.5f }, 6, prompt: [0]);
        float[] logits = [5, 4, 0, 0, 0, 0];
        Assert.Equal([0, 1, 0, 0], Enumerable.Range(0, 4).Select(_ => sampler.Sample(logits).TokenId));
    }

    [Fact]
    public void Penalties_change_the_drawn_distribution_as_defined()
    {
        var p = Samplers.Seeded(1) with { RepetitionPenalty = 1.3f, FrequencyPenalty = 0.4f, PresencePenalty = 0.2f, LogitBias = new Dictionary<int, float> { [1] = 0.7f } };
        var sampler = Samplers.Build(p with { AllowedTokenIds = null, Temperature = 0 }, 6, prompt: [3, 4]);
        // Output so far: 0 and 0 (greedy with a high logit each time).
        sampler.Sample([50, 0, 0, 0, 0, 0]);
        sampler.Sample([50, 0, 0, 0, 0, 0]);
        // 0: 2/1.3 − 0.8 − 0.2 = 0.538; 1: −0.2 + 0.7 = 0.5; 3: 0.7/1.3 = 0.5385; 4: −0.1·1.3.
        Assert.Equal(3, sampler.Sample([2, -0.2f, 0.4f, 0.7001f, -0.1f, 0]).TokenId);
    }

    [Fact]
    public void When_nothing_is_possible_the_sequence_ends()
    {
        Assert.Equal(5, Samplers.Build(Samplers.Greedy with { AllowedTokenIds = [0], BadWords = [[0]] }, 6).Sample(Descending).TokenId);
        Assert.Equal(5, Samplers.Build(Samplers.Seeded(1) with { AllowedTokenIds = [0], BadWords = [[0]] }, 6).Sample(Descending).TokenId);
    }

    [Fact]
    public void The_greedy_path_does_not_allocate()
    {
        var logits = Samplers.Logits(1, 32_000);
        var sampler = Samplers.Build(Samplers.Greedy, logits.Length);
        for (var i = 0; i < 10_000; i++)
            sampler.Sample(logits.AsSpan());
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
            sampler.Sample(logits.AsSpan());
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_wrong_number_of_logits_is_a_bug_of_the_caller() =>
        Assert.Throws<ArgumentException>(() => Samplers.Build(Samplers.Greedy, 6).Sample(new float[7]));
}
