using System.Text.Json;
using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;

namespace Eigengate.ComputeNode.Tests.Endpoints;

/// <summary>Constraints of chat answers over HTTP, whole and streamed, with a trained model that would write something else.</summary>
public sealed class StructuredChatTests(DemoNode demo) : IClassFixture<DemoNode>
{
    private const string Schema = """
        {"type": "object", "additionalProperties": false, "required": ["planet", "moons", "kind"], "properties": {
          "planet": {"type": "string", "pattern": "^[a-z]{3,7}$"}, "moons": {"type": "integer", "minimum": 3, "maximum": 146}, "kind": {"enum": ["rock", "gas", null]},
          "neighbours": {"type": "array", "items": {"$ref": "#/$defs/name"}, "minItems": 1, "maxItems": 2}}, "$defs": {"name": {"type": "string", "minLength": 2, "maxLength": 4}}}
        """;

    private readonly RunningNode _node = demo.Node;

    [Theory]
    [InlineData("response_format")]
    [InlineData("structured_outputs")]
    [InlineData("guided_json")]
    public async Task AJsonSchema_IsSatisfied(string field)
    {
        JsonNode schema = JsonNode.Parse(Schema)!;
        string[] answers = await AnswersAsync(field, field switch
        {
            "response_format" => new { type = "json_schema", json_schema = new { name = "planet", strict = true, schema } },
            "structured_outputs" => new { json = schema, disable_any_whitespace = true },
            _ => schema,
        });
        Assert.All(answers, RequireValid);
        if (field == "structured_outputs")
            Assert.All(answers, text => Assert.Equal(JsonNode.Parse(text)!.ToJsonString(new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }), text));
    }

    [Theory]
    [InlineData("guided_grammar")]
    [InlineData("structured_outputs")]
    public async Task AGrammar_IsKept(string field)
    {
        const string Grammar = "root ::= sum\nsum ::= sum [+-] term | term\nterm ::= [1-9] [0-9]? | \"(\" sum \")\"";
        string[] answers = await AnswersAsync(field, field == "guided_grammar" ? Grammar : new { grammar = Grammar });
        Assert.All(answers, text => Assert.True(IsSum(text), text));
    }

    [Fact]
    public async Task WhatCannotBeEnforced_IsRefused()
    {
        object body = new { messages = new[] { new { role = "user", content = "planet" } }, stream = true, response_format = new { type = "json_schema", json_schema = new { schema = JsonNode.Parse("""{"properties": {"a": {"not": {}}}}""") } } };
        var (status, error) = await _node.RefusedAsync(body, RunningNode.Chat);
        Assert.Equal((400, "response_format"), (status, (string)error["param"]!));
        Assert.Contains("'not' at #/properties/a", (string)error["message"]!, StringComparison.Ordinal);
    }

    /// <summary>Three choices, complete, the same whole and streamed.</summary>
    private async Task<string[]> AnswersAsync(string field, object constraint)
    {
        // The model, at a loss, would write white space until the end of its context where any amount is allowed.
        JsonNode blank = await _node.AnswerAsync("/tokenize", new { prompt = "\n\t\r ", add_special_tokens = false });
        JsonObject bias = new(blank["tokens"]!.AsArray().Select(id => KeyValuePair.Create(id!.ToString(), (JsonNode?)-100)));
        JsonObject Body(bool stream) => new()
        {
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "planet" }),
            ["max_tokens"] = 150,
            ["n"] = 3,
            ["seed"] = 5,
            ["stream"] = stream,
            ["logit_bias"] = bias.DeepClone(),
            [field] = JsonSerializer.SerializeToNode(constraint),
        };
        JsonArray choices = (await _node.ChatAsync(Body(false)))["choices"]!.AsArray();
        Assert.All(choices, choice => Assert.Equal(("stop", null), ((string)choice!["finish_reason"]!, choice["stop_reason"])));
        string[] texts = [.. choices.Select(choice => (string)choice!["message"]!["content"]!)];

        IReadOnlyList<JsonNode> events = await _node.StreamAsync(Body(true), RunningNode.Chat);
        for (int i = 0; i < texts.Length; i++)
            Assert.Equal(texts[i], string.Concat(events.Select(e => e["choices"]![0]!).Where(choice => (int)choice["index"]! == i).Select(choice => (string)choice["delta"]!["content"]!)));
        return texts;
    }

    private static void RequireValid(string text)
    {
        JsonObject planet = JsonNode.Parse(text)!.AsObject();
        Assert.Subset(new HashSet<string> { "planet", "moons", "kind", "neighbours" }, planet.Select(property => property.Key).ToHashSet());
        Assert.Matches("^[a-z]{3,7}$", (string)planet["planet"]!);
        Assert.InRange(planet["moons"]!.GetValue<int>(), 3, 146);
        Assert.Contains((string?)planet["kind"], new string?[] { "rock", "gas", null });
        Assert.True(planet.ContainsKey("kind"));
        if (!planet.ContainsKey("neighbours"))
            return;
        Assert.InRange(planet["neighbours"]!.AsArray().Count, 1, 2);
        Assert.All(planet["neighbours"]!.AsArray(), name => Assert.InRange(((string)name!).EnumerateRunes().Count(), 2, 4));
    }

    /// <summary>Numbers of one or two digits with signs between them, and brackets: without its innermost sums it is one number.</summary>
    private static bool IsSum(string text)
    {
        for (string before = ""; before != text;)
        {
            before = text;
            text = System.Text.RegularExpressions.Regex.Replace(text, @"\((?:[1-9]\d?)(?:[+-][1-9]\d?)*\)", "1");
        }

        return System.Text.RegularExpressions.Regex.IsMatch(text, @"\A[1-9]\d?([+-][1-9]\d?)*\z");
    }
}
