using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;

namespace Eigengate.ComputeNode.Tests.Endpoints;

/// <summary>A node with the demo's base model.</summary>
public sealed class DemoNode(SharedIndex index) : IAsyncLifetime
{
    internal RunningNode Node { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Node = await RunningNode.StartAsync(index, (options, _) => options with { ModelDirectory = Base() });

    public ValueTask DisposeAsync() => Node.DisposeAsync();

    private static string Base()
    {
        DirectoryInfo at = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(at.FullName, "Gateway.sln")))
            at = at.Parent!;
        return Path.Combine(at.FullName, "demo", "base");
    }
}

/// <summary>Every kind of constraint and every refusal, over HTTP, with a trained model that would write something else (spec/http-api.md §9).</summary>
public sealed class StructuredOutputTests(DemoNode demo) : IClassFixture<DemoNode>
{
    private readonly RunningNode _node = demo.Node;

    public static TheoryData<string, string> Kinds => new()
    {
        { """{"structured_outputs": {"choice": ["left", "right", "été"]}}""", "^(left|right|été)$" },
        { """{"structured_outputs": {"regex": "[a-c]{3}-\\d{2}"}}""", "^[a-c]{3}-[0-9]{2}$" },
        { """{"structured_outputs": {"json": {"type": "integer", "minimum": 10, "maximum": 99}, "disable_any_whitespace": true}}""", "^[1-9][0-9]$" },
        { """{"structured_outputs": {"json": "{\"type\": \"array\", \"items\": {\"type\": \"boolean\"}, \"minItems\": 2, \"maxItems\": 3}", "whitespace_pattern": " ?"}}""", "^ ?\\[ ?(true|false)( ?, ?(true|false)){1,2} ?\\]$" },
        { """{"structured_outputs": {"json": {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}, "disable_additional_properties": true, "disable_any_whitespace": true}}""", "^\\{\"a\":null\\}$" },
        { """{"structured_outputs": {"grammar": "root ::= \"<\" item (\",\" item){1,3} \">\"\nitem ::= [a-z]{2,4} | \"(\" item \")\""}}""", "^<\\(*[a-z]{2,4}\\)*(,\\(*[a-z]{2,4}\\)*){1,3}>$" },
        { """{"response_format": {"type": "json_schema", "json_schema": {"name": "b", "strict": true, "schema": {"enum": ["x", null]}}}}""", "^[ \\t\\n\\r]*(\"x\"|null)$" },
        { """{"response_format": {"type": "json_schema", "json_schema": {"schema": {"const": "x"}}}, "structured_outputs": {"regex": "a"}}""", "^[ \\t\\n\\r]*\"x\"$" },
        { """{"response_format": {"type": "text"}, "structured_outputs": {"regex": "ab"}}""", "^ab$" },
        { """{"guided_regex": "[xy]{4}"}""", "^[xy]{4}$" },
        { """{"guided_choice": ["yes", "no"]}""", "^(yes|no)$" },
        { """{"guided_json": {"type": "boolean"}, "guided_whitespace_pattern": ""}""", "^(true|false)$" },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task AConstraint_IsWhatComesOut(string fields, string expected)
    {
        JsonNode answer = await _node.CompleteAsync(Body(fields, n: 3));
        Assert.Equal(3, answer["choices"]!.AsArray().Count);
        Assert.All(answer["choices"]!.AsArray(), choice =>
        {
            Assert.Equal("stop", (string)choice!["finish_reason"]!);
            Assert.Null(choice["stop_reason"]);
            Assert.Matches(expected, (string)choice["text"]!);
        });
        IReadOnlyList<JsonNode> events = await _node.StreamAsync(Body(fields, n: 3, stream: true));
        for (int i = 0; i < 3; i++)
            Assert.Equal((string)answer["choices"]![i]!["text"]!, RunningNode.TextOf(events, i));
    }

    [Fact]
    public async Task MaskedTokens_AreReportedAsImpossible()
    {
        JsonObject body = Body("""{"structured_outputs": {"choice": ["left"]}, "logprobs": 5}""", n: 1);
        JsonNode logprobs = (await _node.CompleteAsync(body))["choices"]![0]!["logprobs"]!;
        // After the last letter only the end is possible: it has all the probability.
        Assert.Equal(0, (double)logprobs["token_logprobs"]!.AsArray()[^1]!, 1e-6);
        Assert.Contains(-9999.0, logprobs["top_logprobs"]!.AsArray()[^1]!.AsObject().Select(t => (double)t.Value!));
    }

    [Theory]
    [InlineData("""{"structured_outputs": {"regex": "(?=a)b"}}""", "structured_outputs", "lookahead")]
    [InlineData("""{"structured_outputs": {"regex": "[a-z-[aeiou]]"}}""", "structured_outputs", "class subtraction")]
    [InlineData("""{"structured_outputs": {"regex": "a\u0000"}}""", "structured_outputs", "NUL")]
    [InlineData("""{"structured_outputs": {"regex": "((a{500}){500}b?){500}|c{300000}"}}""", "structured_outputs", "too large")]
    [InlineData("""{"structured_outputs": {"json": {"uniqueItems": true}}}""", "structured_outputs", "'uniqueItems' at #")]
    [InlineData("""{"structured_outputs": {"json": "nonsense"}}""", "structured_outputs", "not valid JSON")]
    [InlineData("""{"structured_outputs": {"json_object": true, "whitespace_pattern": "x"}}""", "structured_outputs", "white space")]
    [InlineData("""{"structured_outputs": {"grammar": "root ::= (\"a\"\n"}}""", "structured_outputs", "line 1, column 10: a group ( that is not closed")]
    [InlineData("""{"structured_outputs": {"grammar": "start: \"a\""}}""", "structured_outputs", "line 1, column 6")]
    [InlineData("""{"structured_outputs": {"grammar": ""}}""", "structured_outputs", "no rule 'root'")]
    [InlineData("""{"structured_outputs": {"structural_tag": "{}"}}""", "structured_outputs", "does not offer")]
    [InlineData("""{"response_format": {"type": "json_schema", "json_schema": {"schema": {"properties": {"a": {"multipleOf": 2}}}}}}""", "response_format", "'multipleOf' at #/properties/a")]
    [InlineData("""{"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "https://example.org"}}}}""", "response_format", "'$ref' at #")]
    [InlineData("""{"guided_json": "{"}""", "guided_json", "not valid JSON")]
    [InlineData("""{"guided_grammar": "root ::= x"}""", "guided_grammar", "'x' is used but not defined")]
    public async Task WhatCannotBeEnforced_IsRefusedBeforeAnyOutput(string fields, string param, string fragment)
    {
        foreach (bool stream in (bool[])[false, true])
        {
            var (status, error) = await _node.RefusedAsync(Body(fields, n: 1, stream));
            Assert.Equal((400, "BadRequestError", param), (status, (string)error["type"]!, (string)error["param"]!));
            Assert.Contains(fragment, (string)error["message"]!, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task AConstraintThatOtherFieldsMakeImpossible_IsNotAnsweredByHalf()
    {
        // Nothing but digits may come where only letters can.
        JsonObject body = Body("""{"structured_outputs": {"regex": "[0-9]{2}[a-z]"}}""", n: 1);
        JsonNode digits = await _node.AnswerAsync("/tokenize", new { prompt = "0123456789", add_special_tokens = false });
        body["allowed_token_ids"] = digits["tokens"]!.DeepClone();
        var (status, error) = await _node.RefusedAsync(body);
        Assert.Equal((400, "BadRequestError"), (status, (string)error["type"]!));
        Assert.Contains("No text satisfies this request", (string)error["message"]!, StringComparison.Ordinal);
    }

    private static JsonObject Body(string fields, int n, bool stream = false)
    {
        JsonObject body = JsonNode.Parse(fields)!.AsObject();
        body["prompt"] = "planet ->";
        body["max_tokens"] = 120;
        body["seed"] = 1;
        body["n"] = n;
        body["stream"] = stream;
        return body;
    }
}
