using CsCheck;
using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Tests.Sampling;

public class LogprobsTests
{
    [Fact]
    public void Values_equal_a_log_softmax_in_double() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.Int[1, 2000]).Sample((seed, count) =>
        {
            var logits = Samplers.Logits(seed, count);
            var max = (double)logits.Max();
            var normalizer = max + Math.Log(logits.Sum(x => Math.Exp(x - max)));
            var token = seed % count;
            var score = TokenSampler.Score(logits, token, 5);
            Assert.Equal(logits[token] - normalizer, score.Chosen.Logprob, 2e-6);
            Assert.All(score.Top, t => Assert.Equal(logits[t.TokenId] - normalizer, t.Logprob, 2e-6));
        });

    [Fact]
    public void Top_is_the_stable_sort_of_all_tokens_and_rank_is_the_place_in_it() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.Int[1, 400], Gen.Int[0, 30]).Sample((seed, count, top) =>
        {
            var logits = Samplers.Logits(seed, count);
            int[] sorted = [.. Enumerable.Range(0, count).OrderByDescending(id => logits[id])];
            var score = TokenSampler.Score(logits, seed % count, top);
            return score.Top.Select(t => t.TokenId).SequenceEqual(sorted.Take(top))
                && sorted[score.Rank - 1] == score.Chosen.TokenId;
        });

    [Fact]
    public void The_chosen_value_is_bit_identical_in_the_top_list() =>
        Gen.Int[0, 100_000].Sample(seed =>
        {
            var logits = Samplers.Logits(seed, 300);
            var score = Samplers.Build(Samplers.Greedy with { Logprobs = 3 }, 300).Sample(logits).Logprobs!;
            return score.Top[0] == score.Chosen
                && BitConverter.SingleToInt32Bits(score.Top[0].Logprob) == BitConverter.SingleToInt32Bits(score.Chosen.Logprob);
        });

    [Fact]
    public void They_describe_the_raw_distribution_before_any_step()
    {
        float[] logits = [3, 2, 1, 0];
        var p = new SamplingParams
        {
            MaxTokens = 1,
            Temperature = 0.3f,
            TopK = 1,
            AllowedTokenIds = [2],
            LogitBias = new Dictionary<int, float> { [2] = 5 },
            RepetitionPenalty = 2,
            Logprobs = 2,
            Seed = 1,
        };
        var drawn = Samplers.Build(p, 4, prompt: [2]).Sample(logits);
        Assert.Equal(2, drawn.TokenId);
        Assert.Equal(3, drawn.Logprobs!.Rank);
        Assert.Equal([0, 1], drawn.Logprobs.Top.Select(t => t.TokenId));
        Assert.Equal(TokenSampler.Score(logits, 2, 2).Chosen, drawn.Logprobs.Chosen);
    }

    [Fact]
    public void None_are_computed_unless_asked_for_and_zero_asks_for_the_chosen_one_alone()
    {
        Assert.Null(Samplers.Build(Samplers.Greedy, 4).Sample([3, 2, 1, 0]).Logprobs);
        Assert.Empty(Samplers.Build(Samplers.Greedy with { Logprobs = 0 }, 4).Sample([3, 2, 1, 0]).Logprobs!.Top);
    }

    [Fact]
    public void Impossible_tokens_have_minus_infinity()
    {
        var score = TokenSampler.Score([0, float.NegativeInfinity, 0], 1, 3);
        Assert.Equal(float.NegativeInfinity, score.Chosen.Logprob);
        Assert.Equal(MathF.Log(0.5f), score.Top[0].Logprob, 1e-6f);
        Assert.Equal(3, score.Rank);
    }
}
