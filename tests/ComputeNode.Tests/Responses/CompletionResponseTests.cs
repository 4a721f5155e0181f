using System.Text.Json;
using Eigengate.ComputeNode.Responses;

namespace Eigengate.ComputeNode.Tests.Responses;

public sealed class CompletionResponseTests
{
    [Fact]
    public void EveryDocumentedKey_IsPresentInOrder()
    {
        using JsonDocument json = JsonDocument.Parse(Serialize(Response(new CompletionChoice { Index = 0, Text = "a", FinishReason = "length" })));
        Assert.Equal(
            ["id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage", "kv_transfer_params", "ec_transfer_params", "metrics"],
            Keys(json.RootElement));
        Assert.Equal(
            ["index", "text", "logprobs", "finish_reason", "stop_reason", "token_ids", "prompt_logprobs", "prompt_token_ids", "routed_experts"],
            Keys(json.RootElement.GetProperty("choices")[0]));
        Assert.Equal(
            ["prompt_tokens", "total_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"],
            Keys(json.RootElement.GetProperty("usage")));
    }

    [Theory]
    [InlineData(float.NegativeInfinity, "-9999.0")]
    [InlineData(-10000f, "-9999.0")]
    [InlineData(float.NaN, "-9999.0")]
    [InlineData(-9998.5f, "-9998.5")]
    [InlineData(-0.11f, "-0.11")]
    public void Logprobs_NeverLeaveTheRangeOfJson(float value, string expected)
    {
        var logprobs = new CompletionLogprobs([0], [value], ["a"], [new OrderedDictionary<string, float> { ["a"] = value }]);
        string json = Serialize(Response(new CompletionChoice { Index = 0, Text = "a", FinishReason = "length", Logprobs = logprobs }));
        Assert.Contains($"\"token_logprobs\":[{expected}]", json, StringComparison.Ordinal);
        Assert.Contains($"\"top_logprobs\":[{{\"a\":{expected}}}]", json, StringComparison.Ordinal);
    }

    [Fact]
    public void StopReason_IsANumberOrAString()
    {
        Assert.Contains("\"stop_reason\":7", Serialize(Response(new CompletionChoice { Index = 0, Text = "", FinishReason = "stop", StopReason = StopReason.Of(7, null) })), StringComparison.Ordinal);
        Assert.Contains("\"stop_reason\":\"##\"", Serialize(Response(new CompletionChoice { Index = 0, Text = "", FinishReason = "stop", StopReason = StopReason.Of(null, "##") })), StringComparison.Ordinal);
    }

    private static CompletionResponse Response(CompletionChoice choice) => new() { Id = "cmpl-1", Created = 1, Model = "m", Choices = [choice], Usage = Usage.Of(3, 2) };

    private static string Serialize(CompletionResponse response) => JsonSerializer.Serialize(response, NodeJson.Wire.CompletionResponse);

    private static IEnumerable<string> Keys(JsonElement json) => json.EnumerateObject().Select(p => p.Name);
}
