using System.Net;
using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;
using static Eigengate.ComputeNode.Tests.Support.RunningNode;

namespace Eigengate.ComputeNode.Tests.Endpoints;

public sealed class CompletionTests(TinyNode tiny) : IClassFixture<TinyNode>
{
    private readonly RunningNode _node = tiny.Node;

    [Fact]
    public async Task Completion_HasTextAndUsage_AndItsDocumentedShape()
    {
        JsonNode answer = await _node.CompleteAsync(new { prompt = "Once", max_tokens = 5, temperature = 0, ignore_eos = true });
        Assert.StartsWith("cmpl-", (string)answer["id"]!, StringComparison.Ordinal);
        Assert.Equal(("text_completion", "tiny"), ((string)answer["object"]!, (string)answer["model"]!));
        Assert.Equal("length", (string)answer["choices"]![0]!["finish_reason"]!);
        Assert.Equal((4, 5, 9), Usage(answer));
    }

    [Fact]
    public async Task Greedy_IsTheSameTwice_AndForTextOrIds()
    {
        JsonNode first = await _node.CompleteAsync(new { prompt = "abc", max_tokens = 12, temperature = 0 });
        JsonNode second = await _node.CompleteAsync(new { prompt = "abc", max_tokens = 12, temperature = 0 });
        JsonNode ids = await _node.CompleteAsync(new { prompt = new[] { 97, 98, 99 }, max_tokens = 12, temperature = 0 });
        Assert.Equal(TextOf(first), TextOf(second));
        Assert.Equal(TextOf(first), TextOf(ids));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stream_ConcatenatesToTheWholeAnswer(bool echo)
    {
        object Body(bool stream) => new { prompt = new[] { "ab", "💡é" }, max_tokens = 40, n = 2, seed = 7, logprobs = 2, ignore_eos = true, echo, stream };
        JsonNode whole = await _node.CompleteAsync(Body(false));
        IReadOnlyList<JsonNode> events = await _node.StreamAsync(Body(true));
        for (int index = 0; index < 4; index++)
        {
            JsonNode expected = whole["choices"]![index]!;
            JsonNode[] chunks = [.. events.SelectMany(e => e["choices"]!.AsArray()).Where(c => (int)c!["index"]! == index)!];
            Assert.Equal((string)expected["text"]!, TextOf(events, index));
            Assert.Equal(ArrayOf<string>(expected["logprobs"]!["tokens"]!), Joined<string>(chunks, "tokens"));
            Assert.Equal(ArrayOf<int>(expected["logprobs"]!["text_offset"]!), Joined<int>(chunks, "text_offset"));
            // Other sequences in the batch change the last bits of a sum.
            Assert.All(
                ArrayOf<float?>(expected["logprobs"]!["token_logprobs"]!).Zip(Joined<float?>(chunks, "token_logprobs")),
                pair => Assert.True(pair.First is null ? pair.Second is null : Math.Abs(pair.First.Value - pair.Second!.Value) < 1e-3f));
            Assert.Equal(ArrayOf<string>(expected["logprobs"]!["tokens"]!).Length, chunks.Sum(c => c["logprobs"]!["top_logprobs"]!.AsArray().Count));

            Assert.Equal("length", (string)chunks[^1]["finish_reason"]!);
            Assert.All(chunks[..^1], c => Assert.Null(c["finish_reason"]));
        }

        Assert.All(events, e => Assert.Single(e["choices"]!.AsArray()));
    }

    [Fact]
    public async Task StreamUsage_IsSentAtTheEnd_AndWithEveryChunkWhenAsked()
    {
        object options = new { include_usage = true, continuous_usage_stats = true };
        IReadOnlyList<JsonNode> events = await _node.StreamAsync(new { prompt = "abc", max_tokens = 4, ignore_eos = true, stream = true, stream_options = options });
        Assert.Empty(events[^1]["choices"]!.AsArray());
        Assert.Equal((3, 4, 7), Usage(events[^1]));
        Assert.Equal([1, 2, 3, 4], events.SkipLast(1).Select(e => (int)e["usage"]!["completion_tokens"]!));

        events = await _node.StreamAsync(new { prompt = "abc", max_tokens = 4, ignore_eos = true, stream = true });
        Assert.All(events, e => Assert.False(e.AsObject().ContainsKey("usage")));
    }

    [Fact]
    public async Task SeveralPromptsAndChoices_ArePromptMajor_AndCountEachPromptOnce()
    {
        JsonNode answer = await _node.CompleteAsync(new { prompt = new[] { "aaa", "bbbb" }, n = 3, seed = 5, max_tokens = 6, ignore_eos = true, echo = true });
        JsonArray choices = answer["choices"]!.AsArray();
        Assert.Equal([0, 1, 2, 3, 4, 5], choices.Select(c => (int)c!["index"]!));
        Assert.All(choices.Take(3), c => Assert.StartsWith("aaa", (string)c!["text"]!, StringComparison.Ordinal));
        Assert.All(choices.Skip(3), c => Assert.StartsWith("bbbb", (string)c!["text"]!, StringComparison.Ordinal));
        Assert.Equal((7, 36, 43), Usage(answer));
    }

    [Fact]
    public async Task SeededChoices_AreReproducible_AndDiffer()
    {
        object body = new { prompt = "abc", n = 3, seed = 42, max_tokens = 24, ignore_eos = true };
        JsonNode first = await _node.CompleteAsync(body);
        JsonNode second = await _node.CompleteAsync(body);
        string[] texts = [.. Enumerable.Range(0, 3).Select(i => TextOf(first, i))];
        Assert.Equal(texts, Enumerable.Range(0, 3).Select(i => TextOf(second, i)));
        Assert.Equal(3, texts.Distinct().Count());
    }

    [Fact]
    public async Task StopString_CutsTheText_AndIsTheStopReason()
    {
        // The text of a greedy run, so that a stop string is known to appear.
        string full = TextOf(await _node.CompleteAsync(Body([])));
        string stop = full[10..12];
        JsonNode answer = await _node.CompleteAsync(Body([stop, "never-in-the-text"]));
        Assert.Equal(full[..full.IndexOf(stop, StringComparison.Ordinal)], TextOf(answer));
        Assert.Equal(("stop", stop), ((string)answer["choices"]![0]!["finish_reason"]!, (string)answer["choices"]![0]!["stop_reason"]!));

        object Body(string[] stops) => new { prompt = "stop", max_tokens = 60, temperature = 0, ignore_eos = true, stop = stops, logit_bias = AsciiOnly() };
    }

    [Fact]
    public async Task StopToken_EndsTheChoice_AndCountsInUsage()
    {
        JsonNode free = await _node.CompleteAsync(new { prompt = "ab", max_tokens = 8, temperature = 0, ignore_eos = true, return_token_ids = true });
        int[] ids = ArrayOf<int>(free["choices"]![0]!["token_ids"]!);
        JsonNode answer = await _node.CompleteAsync(new { prompt = "ab", max_tokens = 8, temperature = 0, ignore_eos = true, return_token_ids = true, stop_token_ids = new[] { ids[3], 100000 } });
        int position = Array.IndexOf(ids, ids[3]);
        Assert.Equal(ids[..(position + 1)], ArrayOf<int>(answer["choices"]![0]!["token_ids"]!));
        Assert.Equal(("stop", ids[3]), ((string)answer["choices"]![0]!["finish_reason"]!, (int)answer["choices"]![0]!["stop_reason"]!));
        Assert.Equal(position + 1, (int)answer["usage"]!["completion_tokens"]!);
        Assert.Equal([97, 98], ArrayOf<int>(answer["choices"]![0]!["prompt_token_ids"]!));
    }

    [Fact]
    public async Task Adapter_ChangesTheText_AndIsNamedInTheAnswer()
    {
        object Body(string? model) => new { model, prompt = "abcdef", max_tokens = 16, temperature = 0, ignore_eos = true };
        JsonNode[] answers = [.. await Task.WhenAll(new[] { null, "tiny", "first", "second" }.Select(model => _node.CompleteAsync(Body(model))))];
        Assert.Equal(["tiny", "tiny", "first", "second"], answers.Select(a => (string)a["model"]!));
        Assert.Equal(TextOf(answers[0]), TextOf(answers[1]));
        Assert.Equal(3, answers.Select(a => TextOf(a)).Distinct().Count());
    }

    [Fact]
    public async Task UnknownModel_Is404_NamingIt()
    {
        var (status, error) = await _node.RefusedAsync(new { model = "no-such", prompt = "a" });
        Assert.Equal((404, "NotFoundError", "model", "The model `no-such` does not exist."), (status, (string)error["type"]!, (string)error["param"]!, (string)error["message"]!));
    }

    [Theory]
    [InlineData(257, "max_tokens")]
    [InlineData(254, "input_tokens")]
    public async Task BeyondTheContext_IsRefused_WithTheNumbers(int maxTokens, string param)
    {
        var (status, error) = await _node.RefusedAsync(new { prompt = "abc", max_tokens = maxTokens });
        Assert.Equal((400, param), (status, (string)error["param"]!));
        string message = (string)error["message"]!;
        Assert.Contains("maximum context length is 256 tokens", message, StringComparison.Ordinal);
        Assert.All(new[] { $"{maxTokens}", "3 in the prompt", $"{maxTokens + 3}" }, number => Assert.Contains(number, message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task ExactlyTheContext_IsServed()
    {
        JsonNode answer = await _node.CompleteAsync(new { prompt = Enumerable.Repeat(97, 250), max_tokens = 6, ignore_eos = true });
        Assert.Equal((250, 6, 256), Usage(answer));
        answer = await _node.CompleteAsync(new { prompt = Enumerable.Repeat(97, 300), max_tokens = 6, truncate_prompt_tokens = 250 });
        Assert.Equal(250, (int)answer["usage"]!["prompt_tokens"]!);
    }

    [Theory]
    [InlineData("""{"prompt": [97, 258]}""", "prompt", "258 is out of vocabulary")]
    [InlineData("""{"prompt": [[97], [-1]]}""", "prompt", "-1 is out of vocabulary")]
    [InlineData("""{"prompt": "a", "logit_bias": {"300": 1, "-4": 2}}""", "logit_bias", "300, -4 out of vocabulary; the model has 258 tokens")]
    [InlineData("""{"prompt": "a", "allowed_token_ids": [1, 999]}""", "allowed_token_ids", "999 out of vocabulary")]
    [InlineData("""{"prompt": "a", "n": 2, "temperature": 0}""", "n", "greedy")]
    [InlineData("""{"prompt": "a", "prompt_logprobs": -1}""", "prompt_logprobs", "258 tokens")]
    [InlineData("""{"prompt": "a", "min_tokens": 17}""", "min_tokens", "max_tokens (16), got 17")]
    [InlineData("""{"prompt": "a", "truncate_prompt_tokens": 0}""", "prompt", "Either prompt")]
    public async Task WhatTheModelCannotDo_IsRefused(string body, string param, string fragment)
    {
        var (status, error) = await _node.RefusedAsync(JsonNode.Parse(body)!);
        Assert.Equal((400, "BadRequestError", param), (status, (string)error["type"]!, (string)error["param"]!));
        Assert.Contains(fragment, (string)error["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AllowedTokensAndBadWords_AreHonoured()
    {
        JsonNode answer = await _node.CompleteAsync(new { prompt = "a", max_tokens = 30, seed = 1, allowed_token_ids = new[] { 120, 121, 122 }, bad_words = new[] { "y", "zz" } });
        Assert.Matches("^(x|z(?!z))+$", TextOf(answer));
    }

    [Theory]
    [InlineData("""{"response_format": {"type": "json_object"}}""")]
    [InlineData("""{"structured_outputs": {"json_object": true}}""")]
    public async Task JsonObject_IsWhatComesOut(string field)
    {
        JsonObject body = JsonNode.Parse(field)!.AsObject();
        body["prompt"] = "x";
        body["max_tokens"] = 200;
        body["seed"] = 1;
        // Long strings of random bytes would outlast the limit.
        body["logit_bias"] = JsonNode.Parse("""{"34": 100, "125": 100, "58": 50}""");
        JsonNode answer = await _node.CompleteAsync(body);
        Assert.Equal("stop", (string)answer["choices"]![0]!["finish_reason"]!);
        Assert.IsType<JsonObject>(JsonNode.Parse(TextOf(answer)));
    }

    [Fact]
    public async Task RequestId_BecomesTheResponseId()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = System.Net.Http.Json.JsonContent.Create(new { prompt = "a", max_tokens = 1, request_id = "from-body" }) };
        request.Headers.Add("X-Request-Id", "from-header");
        using HttpResponseMessage response = await _node.Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal("from-header", response.Headers.GetValues("X-Request-Id").Single());
        Assert.Contains("\"cmpl-from-header\"", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);

        using HttpResponseMessage second = await _node.PostAsync("/v1/completions", new { prompt = "a", max_tokens = 1, request_id = "from-body" });
        Assert.Equal("from-body", second.Headers.GetValues("X-Request-Id").Single());

        using HttpResponseMessage third = await _node.PostAsync("/v1/completions", new { });
        Assert.Equal(HttpStatusCode.BadRequest, third.StatusCode);
        Assert.Matches("^[0-9a-f]{32}$", third.Headers.GetValues("X-Request-Id").Single());
    }

    /// <summary>Forbids everything but lower-case letters, so that texts are readable and cut anywhere.</summary>
    private static Dictionary<string, int> AsciiOnly() =>
        Enumerable.Range(0, TinyModel.Vocabulary).Where(id => id is < 'a' or > 'z').ToDictionary(id => $"{id}", _ => -100);

    private static IEnumerable<T> Joined<T>(IEnumerable<JsonNode> chunks, string key) => chunks.SelectMany(c => ArrayOf<T>(c["logprobs"]![key]!));

    private static (int Prompt, int Completion, int Total) Usage(JsonNode answer)
    {
        JsonNode usage = answer["usage"]!;
        return ((int)usage["prompt_tokens"]!, (int)usage["completion_tokens"]!, (int)usage["total_tokens"]!);
    }
}
