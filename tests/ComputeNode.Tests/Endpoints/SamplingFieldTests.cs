using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;
using static Eigengate.ComputeNode.Tests.Support.RunningNode;

namespace Eigengate.ComputeNode.Tests.Endpoints;

/// <summary>Fields whose definitions are tested with the sampler and the text: over HTTP they arrive there (spec/http-api.md §5.1, §7).</summary>
public sealed class SamplingFieldTests(TinyNode tiny) : IClassFixture<TinyNode>
{
    private readonly RunningNode _node = tiny.Node;

    [Theory]
    [InlineData("{\"top_k\": 1}")]
    [InlineData("{\"top_p\": 1e-9}")]
    [InlineData("{\"min_p\": 1}")]
    public async Task AFilterThatLeavesOneToken_GivesTheGreedyText(string fields)
    {
        JsonObject body = Body("{\"temperature\": 0}");
        string greedy = TextOf(await _node.CompleteAsync(body));
        Assert.Equal(greedy, TextOf(await _node.CompleteAsync(Body(fields))));
        Assert.NotEqual(greedy, TextOf(await _node.CompleteAsync(Body("{\"temperature\": 2}"))));
    }

    [Theory]
    [InlineData("frequency_penalty", 2)]
    [InlineData("presence_penalty", 2)]
    [InlineData("repetition_penalty", 1.5)]
    public async Task APenalty_ChangesWhatWasSaid(string field, double value)
    {
        JsonNode plain = await _node.CompleteAsync(Body("{\"temperature\": 0}")), penalised = await _node.CompleteAsync(Body($"{{\"temperature\": 0, \"{field}\": {value.ToString(System.Globalization.CultureInfo.InvariantCulture)}}}"));
        Assert.NotEqual(TextOf(plain), TextOf(penalised));
    }

    [Theory]
    [InlineData("{}", 4)]
    [InlineData("{\"truncation_side\": \"left\"}", 4)]
    [InlineData("{\"truncation_side\": \"right\"}", 0)]
    public async Task ATruncatedPrompt_KeepsOneSide(string fields, int first)
    {
        JsonObject body = Body(fields);
        (body["prompt"], body["truncate_prompt_tokens"], body["return_token_ids"]) = (new JsonArray([.. "abcdefgh".Select(c => JsonValue.Create((int)c))]), 4, true);
        JsonNode answer = await _node.CompleteAsync(body);
        Assert.Equal("abcdefgh".Substring(first, 4).Select(c => (int)c), ArrayOf<int>(answer["choices"]![0]!["prompt_token_ids"]!));
        Assert.Equal(4, (int)answer["usage"]!["prompt_tokens"]!);
    }

    [Theory]
    [InlineData(true, "")]
    [InlineData(false, "<begin><begin><begin>")]
    public async Task SpecialTokens_AreTextOnlyOnRequest(bool skip, string expected)
    {
        JsonObject body = Body($"{{\"allowed_token_ids\": [{TinyModel.Begin}], \"skip_special_tokens\": {(skip ? "true" : "false")}}}");
        body["max_tokens"] = 3;
        Assert.Equal(expected, TextOf(await _node.CompleteAsync(body)));
    }

    [Theory]
    [InlineData(false, "aaa")]
    [InlineData(true, "aaab")]
    public async Task AStopString_IsPartOfTheText_OnRequest(bool include, string expected)
    {
        // Only "a", then from a forbidden fourth one on "b".
        JsonObject body = Body($"{{\"temperature\": 0, \"allowed_token_ids\": [97, 98], \"logit_bias\": {{\"97\": 100}}, \"bad_words\": [\"aaaa\"], \"stop\": \"b\", \"include_stop_str_in_output\": {(include ? "true" : "false")}}}");
        JsonNode choice = (await _node.CompleteAsync(body))["choices"]![0]!;
        Assert.Equal((expected, "stop", "b"), ((string)choice["text"]!, (string)choice["finish_reason"]!, (string)choice["stop_reason"]!));
    }

    private static JsonObject Body(string fields)
    {
        JsonObject body = JsonNode.Parse(fields)!.AsObject();
        (body["prompt"], body["seed"], body["ignore_eos"]) = ("Once upon", 3, true);
        body["max_tokens"] ??= 60;
        return body;
    }
}
