using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;
using static Eigengate.ComputeNode.Tests.Support.RunningNode;

namespace Eigengate.ComputeNode.Tests.Endpoints;

/// <summary>echo and log-probabilities as evaluation harnesses use them (spec/http-api.md §5.5, §5.6).</summary>
public sealed class ScoringTests(TinyNode tiny) : IClassFixture<TinyNode>
{
    private readonly RunningNode _node = tiny.Node;

    [Fact]
    public async Task EchoWithLogprobs_CoversPromptAndOneToken()
    {
        int[] prompt = [97, 98, 99, 100];
        JsonNode answer = await _node.CompleteAsync(new { prompt = new[] { prompt }, max_tokens = 1, temperature = 0, logprobs = 1, echo = true, seed = 1234 });
        JsonNode logprobs = answer["choices"]![0]!["logprobs"]!;
        Assert.All(new[] { "tokens", "token_logprobs", "top_logprobs", "text_offset" }, key => Assert.Equal(5, logprobs[key]!.AsArray().Count));
        Assert.Null(logprobs["token_logprobs"]![0]);
        Assert.Null(logprobs["top_logprobs"]![0]);
        for (int i = 1; i < 5; i++)
        {
            // Harnesses decide "greedy" by equality, and take the first key for the chosen token.
            var top = logprobs["top_logprobs"]![i]!.AsObject();
            Assert.Equal((string)logprobs["tokens"]![i]!, top.First().Key);
            Assert.Equal((float)logprobs["token_logprobs"]![i]!, (float)top.First().Value!);
            Assert.InRange(top.Count, 1, 2);
        }

        float generated = (float)logprobs["token_logprobs"]![4]!;
        Assert.Equal(logprobs["top_logprobs"]![4]!.AsObject().Max(t => (float)t.Value!), generated);
        Assert.StartsWith("abcd", TextOf(answer), StringComparison.Ordinal);
    }

    [Fact]
    public async Task PromptScores_AreThoseOfGeneratingTheSameTokens()
    {
        object generate = new { prompt = new[] { 97, 98 }, max_tokens = 10, temperature = 0, ignore_eos = true, logprobs = 0, return_token_ids = true };
        JsonNode generated = (await _node.CompleteAsync(generate))["choices"]![0]!;
        int[] ids = [97, 98, .. ArrayOf<int>(generated["token_ids"]!)];
        JsonNode scored = (await _node.CompleteAsync(new { prompt = ids, max_tokens = 0, logprobs = 0, echo = true }))["choices"]![0]!;

        float[] expected = ArrayOf<float>(generated["logprobs"]!["token_logprobs"]!);
        float?[] actual = ArrayOf<float?>(scored["logprobs"]!["token_logprobs"]!);
        Assert.Equal(12, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], actual[i + 2]!.Value, 1e-4f);
        Assert.Equal(expected.Sum(), actual[2..].Sum()!.Value, 1e-3f);
        Assert.Equal("length", (string)scored["finish_reason"]!);
    }

    [Fact]
    public async Task EchoWithoutTokens_IsThePromptAlone_AndCountsNoCompletion()
    {
        JsonNode answer = await _node.CompleteAsync(new { prompt = "héllo", max_tokens = 0, echo = true });
        Assert.Equal("héllo", TextOf(answer));
        Assert.Null(answer["choices"]![0]!["logprobs"]);
        Assert.Equal((6, 0), ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["completion_tokens"]!));

        IReadOnlyList<JsonNode> events = await _node.StreamAsync(new { prompt = "héllo", max_tokens = 0, echo = true, stream = true, logprobs = 1 });
        Assert.Equal("héllo", (string)Assert.Single(events)["choices"]![0]!["text"]!);
        Assert.Equal(6, events[0]["choices"]![0]!["logprobs"]!["tokens"]!.AsArray().Count);
    }

    [Fact]
    public async Task TextOffset_CountsCodePoints()
    {
        // Four byte tokens of one astral character, then one letter: each fragment shows as one U+FFFD.
        JsonNode answer = await _node.CompleteAsync(new { prompt = "💡a", max_tokens = 2, logprobs = 0, echo = true, ignore_eos = true, allowed_token_ids = new[] { 98 } });
        JsonNode logprobs = answer["choices"]![0]!["logprobs"]!;
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], ArrayOf<int>(logprobs["text_offset"]!));
        Assert.Equal("💡abb", TextOf(answer));
    }

    [Fact]
    public async Task TopLogprobs_HaveBetweenOneAndNPlusOneKeys_ChosenFirst()
    {
        JsonNode answer = await _node.CompleteAsync(new { prompt = "abc", max_tokens = 20, seed = 3, temperature = 2, logprobs = 3, ignore_eos = true, return_tokens_as_token_ids = true });
        JsonNode logprobs = answer["choices"]![0]!["logprobs"]!;
        for (int i = 0; i < 20; i++)
        {
            var top = logprobs["top_logprobs"]![i]!.AsObject();
            Assert.InRange(top.Count, 3, 4);
            Assert.Equal((string)logprobs["tokens"]![i]!, top.First().Key);
            Assert.All(top, entry => Assert.StartsWith("token_id:", entry.Key, StringComparison.Ordinal));
            float[] others = [.. top.Skip(1).Select(t => (float)t.Value!)];
            Assert.Equal(others.OrderDescending(), others);
        }
    }

    [Fact]
    public async Task PromptLogprobs_HoldTheActualTokenAndTheTop()
    {
        JsonNode answer = await _node.CompleteAsync(new { prompt = "abc", max_tokens = 1, prompt_logprobs = 2 });
        JsonArray prompt = answer["choices"]![0]!["prompt_logprobs"]!.AsArray();
        Assert.Equal(3, prompt.Count);
        Assert.Null(prompt[0]);
        JsonNode actual = prompt[1]!["98"]!;
        Assert.Equal("b", (string)actual["decoded_token"]!);
        Assert.InRange((int)actual["rank"]!, 1, TinyModel.Vocabulary);
        Assert.InRange(prompt[1]!.AsObject().Count, 2, 3);
        Assert.Contains(prompt[1]!.AsObject(), candidate => (int)candidate.Value!["rank"]! == 1);
    }

    [Fact]
    public async Task ReturnTokenIdsWithEcho_KeepsTheOutputAlone()
    {
        JsonNode choice = (await _node.CompleteAsync(new { prompt = "abc", max_tokens = 3, echo = true, return_token_ids = true, allowed_token_ids = new[] { 120 } }))["choices"]![0]!;
        Assert.Equal("xxx", (string)choice["text"]!);
        Assert.Equal([97, 98, 99], ArrayOf<int>(choice["prompt_token_ids"]!));
        Assert.Equal([120, 120, 120], ArrayOf<int>(choice["token_ids"]!));
    }
}
