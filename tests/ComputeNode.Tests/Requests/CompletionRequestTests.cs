using System.Text;
using System.Text.Json;
using Eigengate.ComputeNode.Requests;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Tests.Requests;

public sealed class CompletionRequestTests
{
    /// <summary>Fields added to a valid body; status is 400 throughout. Type S: schema ("Bad Request"), B: semantic ("BadRequestError").</summary>
    public static TheoryData<string, string, string?, string> Refusals => new()
    {
        { "\"model\": 3", "S", "model", "expected a string, got 3" },
        { "\"max_tokens\": \"5\"", "S", "max_tokens", "expected an integer, got the string \"5\"" },
        { "\"max_tokens\": 5.5", "S", "max_tokens", "expected an integer, got 5.5" },
        { "\"max_tokens\": true", "S", "max_tokens", "expected an integer, got True" },
        { "\"max_tokens\": 0", "B", "max_tokens", "echo" },
        { "\"max_tokens\": -1, \"echo\": true", "B", "max_tokens", "at least 1, got -1" },
        { "\"stream\": \"yes\"", "S", "stream", "expected a boolean" },
        { "\"stream\": 1", "S", "stream", "expected a boolean" },
        { "\"n\": 0", "B", "n", "[1, 128], got 0" },
        { "\"n\": 129", "B", "n", "[1, 128], got 129" },
        { "\"temperature\": -0.1", "B", "temperature", "[0, 2], got -0.1" },
        { "\"temperature\": 2.1", "B", "temperature", "[0, 2]" },
        { "\"temperature\": \"hot\"", "S", "temperature", "expected a number" },
        { "\"temperature\": 1e999", "S", "temperature", "finite" },
        { "\"top_p\": 0", "B", "top_p", "(0, 1]" },
        { "\"top_p\": 1.5", "B", "top_p", "(0, 1]" },
        { "\"top_k\": -2", "B", "top_k", "got -2" },
        { "\"min_p\": 1.01", "B", "min_p", "[0, 1]" },
        { "\"repetition_penalty\": 0", "B", "repetition_penalty", "greater than 0" },
        { "\"repetition_penalty\": 1e39", "B", "repetition_penalty", "finite" },
        { "\"presence_penalty\": 2.5", "B", "presence_penalty", "[-2, 2]" },
        { "\"frequency_penalty\": -2.5", "B", "frequency_penalty", "[-2, 2]" },
        { "\"seed\": 9223372036854775808", "S", "seed", "less_than_equal" },
        { "\"seed\": -9223372036854775809", "S", "seed", "greater_than_equal" },
        { "\"seed\": 1e300", "S", "seed", "less_than_equal" },
        { "\"seed\": 1.5", "S", "seed", "expected an integer" },
        { "\"stop\": \"\"", "B", "stop", "empty" },
        { "\"stop\": [\"a\", \"\"]", "B", "stop", "empty" },
        { "\"stop\": [\"a\", 1]", "S", "stop.1", "expected a string" },
        { "\"stop\": {}", "S", "stop", "expected an array of strings" },
        { "\"stop\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]", "B", "stop", "at most 16 strings, got 17" },
        { "\"logprobs\": -1", "B", "logprobs", "[0, 20], got -1" },
        { "\"logprobs\": 21", "B", "logprobs", "[0, 20], got 21" },
        { "\"logprobs\": \"2\"", "S", "logprobs", "expected an integer" },
        { "\"logprobs\": true", "S", "logprobs", "expected an integer" },
        { "\"prompt_logprobs\": \"2\"", "S", "prompt_logprobs", "expected an integer" },
        { "\"prompt_logprobs\": -2", "B", "prompt_logprobs", "got -2" },
        { "\"prompt_logprobs\": 1, \"stream\": true", "B", "prompt_logprobs", "stream" },
        { "\"logit_bias\": [1]", "S", "logit_bias", "expected an object" },
        { "\"logit_bias\": {\"1\": \"x\"}", "S", "logit_bias.1", "expected a number" },
        { "\"logit_bias\": {\"cat\": 1, \"3\": 1, \"1.5\": 2}", "B", "logit_bias", "'cat', '1.5'" },
        { "\"stream_options\": {\"include_usage\": true}", "B", "stream_options", "stream: true" },
        { "\"stream_options\": {\"include_usage\": 1}, \"stream\": true", "S", "stream_options.include_usage", "expected a boolean" },
        { "\"stream_options\": true", "S", "stream_options", "expected an object" },
        { "\"min_tokens\": -1", "B", "min_tokens", "at least 0" },
        { "\"stop_token_ids\": [1, \"2\"]", "S", "stop_token_ids.1", "expected an integer" },
        { "\"allowed_token_ids\": []", "B", "allowed_token_ids", "empty" },
        { "\"bad_words\": [\" \"]", "B", "bad_words", "white space" },
        { "\"truncate_prompt_tokens\": -2", "S", "truncate_prompt_tokens", "greater_than_equal" },
        { "\"truncation_side\": \"middle\"", "S", "truncation_side", "'middle'" },
        { "\"suffix\": \"end\"", "B", "suffix", "does not offer" },
        { "\"suffix\": \"\"", "B", "suffix", "does not offer" },
        { "\"use_beam_search\": true", "B", "use_beam_search", "does not offer" },
        { "\"prompt_embeds\": \"AAAA\"", "B", "prompt_embeds", "does not offer" },
        { "\"priority\": 2147483648", "B", "priority", "32 bits" },
        { "\"structured_outputs\": {\"structural_tag\": \"{}\"}", "B", "structured_outputs", "does not offer" },
        { "\"structured_outputs\": {\"choice\": []}", "B", "structured_outputs", "at least one choice" },
        { "\"structured_outputs\": {\"choice\": [1]}", "S", "structured_outputs.choice.0", "expected" },
        { "\"structured_outputs\": {\"regex\": 1}", "S", "structured_outputs.regex", "expected" },
        { "\"structured_outputs\": {}", "B", "structured_outputs", "exactly one constraint, got none" },
        { "\"structured_outputs\": {\"json_object\": true, \"choice\": [\"a\"]}", "B", "structured_outputs", "choice, json_object" },
        { "\"structured_outputs\": {\"json_object\": false}", "B", "structured_outputs", "only be true" },
        { "\"guided_choice\": [\"a\"], \"guided_regex\": \"a\"", "B", "guided_regex", "guided_regex, guided_choice" },
        { "\"response_format\": {\"type\": \"json_schema\"}", "B", "response_format", "json_schema.schema is required" },
        { "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": 7}}", "B", "response_format", "must be an object" },
        { "\"response_format\": {\"type\": \"structural_tag\"}", "B", "response_format", "does not offer" },
        { "\"response_format\": {}", "S", "response_format.type", "expected a string" },
        { "\"response_format\": \"json\"", "S", "response_format", "expected an object" },
        { "\"repetition_detection\": {}", "B", "repetition_detection", "does not offer" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void Refuses_AndNamesTheField(string field, string type, string? param, string fragment)
    {
        ApiError error = Refused($$"""{"prompt": "Once", {{field}}}""");
        Assert.Equal((400, type == "S" ? "Bad Request" : "BadRequestError", param), (error.Status, error.Type, error.Param));
        Assert.Contains(fragment, error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"prompt": null}""")]
    [InlineData("""{"prompt": ""}""")]
    [InlineData("""{"prompt": []}""")]
    [InlineData("""{"prompt": [[]]}""")]
    [InlineData("""{"prompt": ["a", ""]}""")]
    [InlineData("""{"prompt": [[1], []]}""")]
    public void EmptyPrompt_IsRefusedWithTheSentenceClientsMatch(string body)
    {
        ApiError error = Refused(body);
        Assert.Equal(("BadRequestError", "prompt"), (error.Type, error.Param));
        Assert.Equal("Either prompt or prompt_embeds must be provided and non-empty.", error.Message);
    }

    [Theory]
    [InlineData("""{"prompt": 5}""", "prompt")]
    [InlineData("""{"prompt": {"text": "a"}}""", "prompt")]
    [InlineData("""{"prompt": [true]}""", "prompt.0")]
    [InlineData("""{"prompt": [1, "a"]}""", "prompt.1")]
    [InlineData("""{"prompt": ["a", 1]}""", "prompt.1")]
    [InlineData("""{"prompt": [[1], 2]}""", "prompt.1")]
    [InlineData("""{"prompt": [[1, 2.5]]}""", "prompt.0.1")]
    public void PromptOfMixedOrWrongType_IsRefusedAtItsPath(string body, string param) => Assert.Equal(("Bad Request", param), (Refused(body).Type, Refused(body).Param));

    [Fact]
    public void MoreThan1024Prompts_AreRefused()
    {
        ApiError error = Refused($$"""{"prompt": [{{string.Join(',', Enumerable.Repeat("\"a\"", 1025))}}]}""");
        Assert.Equal("prompt", error.Param);
        Assert.Contains("at most 1024 prompts in one request, got 1025", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[1, 2]")]
    [InlineData("\"text\"")]
    [InlineData("")]
    [InlineData("{\"prompt\": ")]
    [InlineData("{\"prompt\": \"a\"} x")]
    [InlineData("{\"prompt\": NaN}")]
    [InlineData("{\"prompt\": \"\\ud800\"}")]
    [InlineData("{\"\\ud800\": 1, \"prompt\": \"a\"}")]
    public void BodyThatIsNotOneJsonObject_IsASchemaError(string body) => Assert.Equal((400, "Bad Request"), (Refused(body).Status, Refused(body).Type));

    [Fact]
    public void FourPromptForms_AreUnderstood()
    {
        Assert.Equal("a", Assert.Single(Read("""{"prompt": "a"}""").Prompts).Text);
        Assert.Equal(["a", "b"], Read("""{"prompt": ["a", "b"]}""").Prompts.Select(p => p.Text));
        Assert.Equal([1L, 2], Assert.Single(Read("""{"prompt": [1, 2.0]}""").Prompts).TokenIds!);
        Assert.Equal([[1L], [2L, 3]], Read("""{"prompt": [[1], [2, 3]]}""").Prompts.Select(p => p.TokenIds!));
    }

    [Fact]
    public void AbsentAndNullFields_TakeTheDefaults()
    {
        CompletionRequest absent = Read("""{"prompt": "a"}""");
        CompletionRequest nulls = Read("""
            {"prompt": "a", "model": null, "max_tokens": null, "n": null, "stream": null, "stop": null, "logprobs": null, "echo": null,
             "logit_bias": null, "seed": null, "stream_options": null, "temperature": null, "top_p": null, "suffix": null,
             "response_format": null, "stop_token_ids": null, "best_of": null, "user": null}
            """);
        foreach (CompletionRequest request in new[] { absent, nulls })
        {
            GenerationFields fields = request.Fields;
            Assert.Equal((16L, 1, false, false, null), (fields.MaxTokens, fields.N, fields.Stream, request.Echo, fields.Logprobs));
            Assert.Null(fields.Model);
            Assert.Null(fields.Sampling.Temperature);
            Assert.Null(fields.Sampling.Seed);
            Assert.Empty(fields.Sampling.Stop);
        }
    }

    [Fact]
    public void UnknownAndTransportFields_AreIgnored() => Read("""
        {"prompt": "a", "best_of": 3, "user": "u", "metadata": {"a": 1}, "store": true, "service_tier": "auto", "made_up": [1],
         "kv_transfer_params": {}, "priority": 0, "use_beam_search": false, "stream_options": {}, "response_format": {"type": "text"}}
        """);

    [Fact]
    public void LenientForms_AreUnderstood()
    {
        GenerationFields request = Read("""
            {"prompt": "a", "max_tokens": 5.0, "seed": -1, "top_k": -1, "stop": "x", "logit_bias": {"7": 500, "8": -500.5}, "logprobs": 0, "n": 2.0, "priority": -7.0}
            """).Fields;
        Assert.Equal((5L, 2, 0, -7), (request.MaxTokens, request.N, request.Logprobs, request.Priority));
        Assert.Null(request.Sampling.Seed);
        Assert.Equal(["x"], request.Sampling.Stop);
        Assert.Equal((100f, -100f), (request.Sampling.LogitBias[7], request.Sampling.LogitBias[8]));
    }

    [Fact]
    public void ContinuousUsage_NeedsIncludeUsage()
    {
        Assert.False(Read("""{"prompt": "a", "stream": true, "stream_options": {"continuous_usage_stats": true}}""").Fields.ContinuousUsage);
        Assert.True(Read("""{"prompt": "a", "stream": true, "stream_options": {"continuous_usage_stats": true, "include_usage": true}}""").Fields.ContinuousUsage);
    }

    private static CompletionRequest Read(string body)
    {
        using JsonDocument document = RequestBody.Parse(Encoding.UTF8.GetBytes(body));
        return CompletionRequest.Read(document.RootElement, new RequestLimits());
    }

    private static ApiError Refused(string body) => Assert.Throws<ApiException>(() => Read(body)).Error;
}
