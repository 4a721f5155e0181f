using System.Text;
using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;
using static Eigengate.ComputeNode.Tests.Support.RunningNode;

namespace Eigengate.ComputeNode.Tests.Endpoints;

public sealed class ChatTests(TinyNode tiny) : IClassFixture<TinyNode>
{
    private static readonly object[] Hello = [new { role = "system", content = "Be kind." }, new { role = "user", content = "Hello" }];

    private readonly RunningNode _node = tiny.Node;

    [Fact]
    public async Task Answer_HasEveryDocumentedKey()
    {
        JsonNode answer = await _node.ChatAsync(new { messages = Hello, max_tokens = 5, temperature = 0, ignore_eos = true });
        Assert.Equal(
            ["id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage", "prompt_logprobs", "prompt_token_ids", "prompt_text", "kv_transfer_params", "ec_transfer_params", "metrics"],
            Keys(answer));
        JsonNode choice = answer["choices"]!.AsArray().Single()!;
        Assert.Equal(["index", "message", "logprobs", "finish_reason", "stop_reason", "token_ids", "routed_experts"], Keys(choice));
        Assert.Equal(["role", "content", "refusal", "annotations", "audio", "function_call", "reasoning"], Keys(choice["message"]!));
        Assert.Equal(("chat.completion", "tiny", "assistant", "length"), ((string)answer["object"]!, (string)answer["model"]!, (string)choice["message"]!["role"]!, (string)choice["finish_reason"]!));
        Assert.StartsWith("chatcmpl-", (string)answer["id"]!, StringComparison.Ordinal);
        // The begin token, then one token per byte.
        Assert.Equal((1 + "[system]Be kind.[user]Hello[assistant]".Length, 5), ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["completion_tokens"]!));
    }

    [Fact]
    public async Task Conversation_IsContinuedLikeItsRenderedPrompt()
    {
        JsonNode chat = await _node.ChatAsync(new { messages = Hello, max_tokens = 20, temperature = 0, ignore_eos = true });
        JsonNode text = await _node.CompleteAsync(new { prompt = "<begin>[system]Be kind.[user]Hello[assistant]", add_special_tokens = false, max_tokens = 20, temperature = 0, ignore_eos = true });
        Assert.Equal(TextOf(text), Content(chat));
    }

    [Fact]
    public async Task Adapter_AnswersUnderItsName()
    {
        JsonNode first = await _node.ChatAsync(new { model = "first", messages = Hello, max_tokens = 16, temperature = 0, ignore_eos = true });
        JsonNode second = await _node.ChatAsync(new { model = "second", messages = Hello, max_tokens = 16, temperature = 0, ignore_eos = true });
        Assert.Equal(("first", "second"), ((string)first["model"]!, (string)second["model"]!));
        Assert.NotEqual(Content(first), Content(second));
        Assert.Equal(404, (await _node.RefusedAsync(new { model = "no-such", messages = Hello }, Chat)).Status);
    }

    [Fact]
    public async Task Stream_StartsWithTheRole_AndConcatenatesToTheWholeAnswer()
    {
        object Body(bool stream) => new { messages = Hello, max_tokens = 30, n = 3, seed = 7, logprobs = true, top_logprobs = 2, ignore_eos = true, return_token_ids = true, stream };
        JsonNode whole = await _node.ChatAsync(Body(false));
        IReadOnlyList<JsonNode> events = await _node.StreamAsync(Body(true), Chat);
        Assert.All(events, e => Assert.Equal(("chat.completion.chunk", 1), ((string)e["object"]!, e["choices"]!.AsArray().Count)));
        for (int index = 0; index < 3; index++)
        {
            JsonNode[] own = [.. events.Where(e => (int)e["choices"]![0]!["index"]! == index)];
            JsonNode[] chunks = [.. own.Select(e => e["choices"]![0]!)];
            Assert.Equal("""{"role":"assistant","content":""}""", chunks[0]["delta"]!.ToJsonString());
            Assert.All(chunks[1..], c => Assert.Equal(["content"], Keys(c["delta"]!)));
            Assert.Equal(Content(whole, index), string.Concat(chunks.Select(c => (string)c["delta"]!["content"]!)));
            Assert.Equal(Tokens(whole["choices"]![index]!), chunks[1..].SelectMany(Tokens));
            Assert.Equal(30, chunks[1..].Sum(c => c["token_ids"]!.AsArray().Count));

            Assert.Equal("length", (string)chunks[^1]["finish_reason"]!);
            Assert.All(chunks[..^1], c => Assert.Null(c["finish_reason"]));
            Assert.Equal(whole["prompt_token_ids"]!.ToJsonString(), own[0]["prompt_token_ids"]!.ToJsonString());
            Assert.All(own[1..], e => Assert.False(e.AsObject().ContainsKey("prompt_token_ids")));
        }
    }

    [Fact]
    public async Task StreamUsage_IsSentAtTheEnd_AndWithEveryChunkWhenAsked()
    {
        object options = new { include_usage = true, continuous_usage_stats = true };
        IReadOnlyList<JsonNode> events = await _node.StreamAsync(new { messages = Hello, max_tokens = 3, ignore_eos = true, stream = true, stream_options = options }, Chat);
        Assert.Equal([0, 1, 2, 3, 3], events.Select(e => (int)e["usage"]!["completion_tokens"]!));
        Assert.Empty(events[^1]["choices"]!.AsArray());
        events = await _node.StreamAsync(new { messages = Hello, max_tokens = 3, ignore_eos = true, stream = true }, Chat);
        Assert.All(events, e => Assert.False(e.AsObject().ContainsKey("usage")));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task Logprobs_HaveExactlyTheTopTokens_InRankOrder(int top)
    {
        JsonNode answer = await _node.ChatAsync(new { messages = Hello, max_tokens = 8, seed = 3, temperature = 2, ignore_eos = true, logprobs = true, top_logprobs = top, return_token_ids = true });
        JsonNode choice = answer["choices"]![0]!;
        JsonArray entries = choice["logprobs"]!["content"]!.AsArray();
        Assert.Equal(ArrayOf<int>(choice["token_ids"]!), entries.Select(e => (int)e!["bytes"]![0]!));
        foreach (JsonNode entry in entries!)
        {
            Assert.Equal(["token", "logprob", "bytes", "top_logprobs"], Keys(entry));
            float[] values = [.. entry["top_logprobs"]!.AsArray().Select(candidate => (float)candidate!["logprob"]!)];
            Assert.Equal(top, values.Length);
            Assert.Equal(values.OrderDescending(), values);
            Assert.All(values.Take(1), best => Assert.True(best >= (float)entry["logprob"]!));
        }
    }

    [Fact]
    public async Task GreedyToken_IsTheFirstOfItsTop()
    {
        JsonNode answer = await _node.ChatAsync(new { messages = Hello, max_tokens = 8, temperature = 0, ignore_eos = true, logprobs = true, top_logprobs = 1, return_tokens_as_token_ids = true });
        Assert.All(answer["choices"]![0]!["logprobs"]!["content"]!.AsArray(), e =>
        {
            Assert.Equal(((string)e!["token"]!, (float)e["logprob"]!), ((string)e["top_logprobs"]![0]!["token"]!, (float)e["top_logprobs"]![0]!["logprob"]!));
            Assert.StartsWith("token_id:", (string)e["token"]!, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task WithoutALimit_TheContextIsFilled()
    {
        JsonNode answer = await _node.ChatAsync(new { messages = Hello, seed = 1, ignore_eos = true });
        Assert.Equal((TinyModel.Context, "length"), ((int)answer["usage"]!["total_tokens"]!, (string)answer["choices"]![0]!["finish_reason"]!));
        answer = await _node.ChatAsync(new { messages = Hello, seed = 1, ignore_eos = true, max_tokens = 9, max_completion_tokens = 4 });
        Assert.Equal(4, (int)answer["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task StopString_CutsTheAnswer()
    {
        object Body(string? stop) => new { messages = Hello, max_tokens = 60, temperature = 0, ignore_eos = true, stop, allowed_token_ids = Enumerable.Range('a', 26) };
        string full = Content(await _node.ChatAsync(Body(null)));
        string stop = full[10..12];
        JsonNode answer = await _node.ChatAsync(Body(stop));
        Assert.Equal(full[..full.IndexOf(stop, StringComparison.Ordinal)], Content(answer));
        Assert.Equal(("stop", stop), ((string)answer["choices"]![0]!["finish_reason"]!, (string)answer["choices"]![0]!["stop_reason"]!));
    }

    [Fact]
    public async Task ContinuedAnswer_GoesOnFromItsText_AndEchoShowsIt()
    {
        object[] open = [.. Hello, new { role = "assistant", content = "Dear" }];
        JsonNode answer = await _node.ChatAsync(new { messages = open, continue_final_message = true, echo = true, max_tokens = 12, temperature = 0, ignore_eos = true });
        JsonNode text = await _node.CompleteAsync(new { prompt = "<begin>[system]Be kind.[user]Hello[assistant]Dear", add_special_tokens = false, max_tokens = 12, temperature = 0, ignore_eos = true });
        Assert.Equal("Dear" + TextOf(text), Content(answer));

        JsonNode other = await _node.ChatAsync(new { messages = Hello, echo = true, max_tokens = 12, temperature = 0, ignore_eos = true });
        Assert.DoesNotContain("Hello", Content(other), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{}""", "[user]a[assistant]")]
    [InlineData("""{"add_generation_prompt": false}""", "[user]a")]
    [InlineData("""{"chat_template_kwargs": {"tone": "WARM"}}""", "[user]a[tone]warm[assistant]")]
    [InlineData("""{"tool_choice": "none", "tools": [{"type": "function", "function": {"name": "add"}}]}""", "[user]a[tools]add[assistant]")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}]}""", "[user]b\nc[assistant]")]
    [InlineData("""{"messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{\"x\": 3}"}}]}, {"role": "tool", "content": "4", "tool_call_id": "1"}]}""", "[assistant]None(add 3)[tool]4[assistant]")]
    public async Task Prompt_IsWhatTheTemplateMakes(string fields, string expected)
    {
        JsonObject body = JsonNode.Parse(fields)!.AsObject();
        body["messages"] ??= JsonNode.Parse("""[{"role": "user", "content": "a"}]""");
        body["max_tokens"] = 1;
        body["return_token_ids"] = true;
        int[] ids = ArrayOf<int>((await _node.ChatAsync(body))["prompt_token_ids"]!);
        Assert.Equal(TinyModel.Begin, ids[0]);
        Assert.Equal(expected, Encoding.ASCII.GetString([.. ids[1..].Select(id => (byte)id)]));
    }

    [Theory]
    [InlineData("""{"messages": [{"role": "villain", "content": "a"}]}""", "messages", "Villains are not served.")]
    [InlineData("""{"chat_template_kwargs": {"tone": 5}}""", "messages", "chat template cannot render")]
    [InlineData("""{"max_completion_tokens": 257}""", "max_completion_tokens", "maximum context length is 256 tokens")]
    [InlineData("""{"max_tokens": 250}""", "input_tokens", "maximum context length is 256 tokens")]
    [InlineData("""{"min_tokens": 300}""", "min_tokens", "got 300")]
    [InlineData("""{"n": 2, "temperature": 0}""", "n", "greedy")]
    [InlineData("""{"top_logprobs": 1}""", "top_logprobs", "logprobs: true")]
    public async Task WhatCannotBeAnswered_IsRefusedByField(string fields, string param, string fragment)
    {
        JsonObject body = JsonNode.Parse(fields)!.AsObject();
        body["messages"] ??= JsonNode.Parse("""[{"role": "user", "content": "a"}]""");
        var (status, error) = await _node.RefusedAsync(body, Chat);
        Assert.Equal((400, "BadRequestError", param), (status, (string)error["type"]!, (string)error["param"]!));
        Assert.Contains(fragment, (string)error["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConversationBeyondTheContext_IsRefused_AlsoWithoutALimit()
    {
        var (status, error) = await _node.RefusedAsync(new { messages = new[] { new { role = "user", content = new string('a', 256) } } }, Chat);
        Assert.Equal((400, "input_tokens"), (status, (string)error["param"]!));
        Assert.Contains("maximum context length is 256 tokens", (string)error["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PromptLogprobs_AreOfTheWholeAnswer()
    {
        JsonNode answer = await _node.ChatAsync(new { messages = Hello, max_tokens = 1, prompt_logprobs = 1 });
        JsonArray positions = answer["prompt_logprobs"]!.AsArray();
        Assert.Equal((int)answer["usage"]!["prompt_tokens"]!, positions.Count);
        Assert.Null(positions[0]);
        Assert.True(positions[1]!.AsObject().ContainsKey($"{(int)'['}"));
    }

    [Fact]
    public async Task JsonObject_IsWhatComesOut()
    {
        JsonNode answer = await _node.ChatAsync(new { messages = Hello, seed = 1, response_format = new { type = "json_object" }, logit_bias = new Dictionary<string, int> { ["34"] = 100, ["125"] = 100, ["58"] = 50 } });
        Assert.IsType<JsonObject>(JsonNode.Parse(Content(answer)));
    }

    private static string Content(JsonNode answer, int index = 0) => (string)answer["choices"]![index]!["message"]!["content"]!;

    private static IEnumerable<string> Tokens(JsonNode choice) => choice["logprobs"]!["content"]!.AsArray().Select(entry => (string)entry!["token"]!);

    private static IEnumerable<string> Keys(JsonNode node) => node.AsObject().Select(field => field.Key);
}
