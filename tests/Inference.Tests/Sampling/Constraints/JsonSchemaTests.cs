using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tests.Tokenization;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

public class JsonSchemaTests
{
    private const int Eos = 1;

    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);

    private const string Person = """
        {"type": "object", "required": ["name", "age"], "additionalProperties": false, "properties": {
          "name": {"type": "string", "minLength": 1, "maxLength": 5}, "age": {"type": "integer", "minimum": 0, "maximum": 120},
          "mail": {"type": "string", "pattern": "^[a-z]+@[a-z]+\\.org$"}, "kind": {"enum": ["a\"b", 3, null]}}}
        """;

    private const string Tree = """
        {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["value"], "additionalProperties": false,
          "properties": {"value": {"type": "integer"}, "children": {"type": "array", "maxItems": 3, "items": {"$ref": "#/$defs/node"}}}}}}
        """;

    public static TheoryData<string> Schemas =>
    [
        Person,
        Tree,
        "{}",
        """{"type": "array", "items": {"type": ["string", "null", "boolean"]}, "minItems": 2, "maxItems": 4}""",
        """{"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 1}""",
        """{"type": "integer", "minimum": -37, "maximum": 205}""",
        """{"type": "integer", "exclusiveMinimum": 99, "exclusiveMaximum": 1001}""",
        """{"type": "object", "properties": {"a": {"type": "integer"}, "ab": {"type": "boolean"}}, "additionalProperties": {"type": "string"}}""",
        """{"type": "object", "required": ["z"], "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "additionalProperties": {"type": "integer"}}""",
        """{"anyOf": [{"type": "boolean"}, {"type": "object", "properties": {"x": {"const": {"k": [1, "é"]}}}, "required": ["x"], "additionalProperties": false}]}""",
        """{"oneOf": [{"type": "string", "maxLength": 2}, {"type": "boolean"}]}""",
        """{"type": "number", "minimum": -1.5, "exclusiveMaximum": 12.25}""",
        """{"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "minItems": 6}""",
        """{"enum": ["été", "eté", "e", [1, {"a": "é\n"}], 1.50]}""",
        """{"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}, "d": {"type": "null"}}, "required": ["c"], "additionalProperties": false}""",
        """{"type": "string", "pattern": "^[a-z]+@[a-z]+\\.org$"}""",
        """{"type": "string", "pattern": "^a[\"\\\\\u00e9]{3,}b"}""",
        """{"type": "string", "format": "ipv4"}""",
        """{"type": "string", "format": "date"}""",
        """{"type": "string", "format": "date-time"}""",
        """{"type": "string", "format": "uuid"}""",
    ];

    [Theory]
    [MemberData(nameof(Schemas))]
    public async Task Random_walks_satisfy_the_schema(string schema)
    {
        var texts = new List<string>();
        foreach (var tokenizer in new[] { Arrows, Tokenizer.Load(SharedData.Path("models/stories260k")) })
        {
            var masks = new TokenMasks(Compile(schema), tokenizer);
            texts.AddRange(Enumerable.Range(0, 8).Select(seed => RandomWalk.Text(masks, tokenizer, seed)).OfType<string>());
        }

        Assert.True(texts.Count >= 8, $"only {texts.Count} walks ended");
        var reasons = await SchemaOracle.ValidateAsync(schema, texts);
        Assert.All(reasons.Zip(texts), r => Assert.True(r.First is null, $"{r.Second}: {r.First}"));
    }

    [Theory]
    [InlineData(Person, """{"name":"Ann","age":7}""", true)]
    [InlineData(Person, """{ "name" : "\u00e9\ud83d\ude00x", "age" : 120 , "mail": "a@b.org", "kind":null }""", true)]
    [InlineData(Person, """{"name":"A","age":1,"kind":"a\"b"}""", true)]
    [InlineData(Person, """{"name":"","age":7}""", false)]
    [InlineData(Person, """{"name":"Annnnn","age":7}""", false)]
    [InlineData(Person, """{"name":"Ann","age":121}""", false)]
    [InlineData(Person, """{"name":"Ann","age":-1}""", false)]
    [InlineData(Person, """{"name":"Ann"}""", false)]
    [InlineData(Person, """{"name":"Ann","age":7,"x":1}""", false)]
    [InlineData(Person, """{"name":"Ann","age":7,}""", false)]
    [InlineData(Tree, """{"value":1,"children":[{"value":2},{"value":3,"children":[]}]}""", true)]
    [InlineData(Tree, """{"value":1,"children":[{}]}""", false)]
    [InlineData("""{"type":"object","properties":{"a":true,"b":true},"additionalProperties":true}""", """{"b":1,"c":[2]}""", true)]
    [InlineData("""{"type":"object","properties":{"a":{"type":"null"}}}""", """{"b":1,"a":1}""", false)]
    [InlineData("""{"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}],"items":false}""", "[1,null]", true)]
    [InlineData("""{"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}],"items":false}""", "[1]", true)]
    [InlineData("""{"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}],"items":false}""", "[1,null,2]", false)]
    [InlineData("""{"type":"array","prefixItems":[{"type":"integer"}],"minItems":3,"maxItems":3}""", "[1,\"\",{}]", true)]
    [InlineData("""{"type":"array","maxItems":0}""", "[ ]", true)]
    [InlineData("""{"type":"array","maxItems":0}""", "[1]", false)]
    [InlineData("""{"type":"string","format":"date"}""", "\"2024-02-29\"", true)]
    [InlineData("""{"type":"string","format":"date"}""", "\"2023-02-29\"", false)]
    [InlineData("""{"type":"string","format":"ipv4"}""", "\"255.0.10.99\"", true)]
    [InlineData("""{"type":"string","format":"ipv4"}""", "\"256.0.10.99\"", false)]
    public void Members_and_strangers(string schema, string text, bool member)
    {
        var cursor = new ConstraintCursor(new TokenMasks(Compile(schema), Arrows), Eos, [Eos]);
        Assert.Equal(member, System.Text.Encoding.UTF8.GetBytes(text).All(value => cursor.Accept(2 + value)) && cursor.CanEnd);
    }

    [Fact]
    public void Bounds_of_integers_are_exact()
    {
        foreach (var (least, most) in new (int, int)[] { (-37, 205), (0, 0), (9, 10), (100, 999), (-1000, -1), (7, 12345) })
        {
            var masks = new TokenMasks(Compile($$"""{"type": "integer", "minimum": {{least}}, "maximum": {{most}}}"""), Arrows);
            for (var value = least - 150; value <= most + 150; value++)
            {
                var cursor = new ConstraintCursor(masks, Eos, [Eos]);
                var member = $"{value}".All(digit => cursor.Accept(2 + digit)) && cursor.CanEnd;
                Assert.True(member == (value >= least && value <= most), $"{value} in [{least}, {most}]");
            }
        }
    }

    [Fact]
    public void Bounds_of_numbers_are_exact()
    {
        foreach (var (keywords, holds) in new (string, Func<decimal, bool>)[]
        {
            ("\"minimum\": 0, \"maximum\": 1", x => x is >= 0 and <= 1),
            ("\"exclusiveMinimum\": 0, \"exclusiveMaximum\": 1", x => x is > 0 and < 1),
            ("\"minimum\": -1.25, \"exclusiveMaximum\": 0.5", x => x is >= -1.25m and < 0.5m),
            ("\"exclusiveMinimum\": 0.05, \"maximum\": 2.005", x => x is > 0.05m and <= 2.005m),
            ("\"maximum\": -0.75", x => x <= -0.75m),
            ("\"exclusiveMinimum\": 9.99", x => x > 9.99m),
            ("\"minimum\": 1.1, \"maximum\": 1.15", x => x is >= 1.1m and <= 1.15m),
        })
        {
            var masks = new TokenMasks(Compile($$"""{"type": "number", {{keywords}}}"""), Arrows);
            for (var value = -2m; value <= 11m; value += 0.005m)
            {
                foreach (var text in new[] { $"{value:0.###}", $"{value:0.000}", $"{value:0.0000}" }.Distinct())
                {
                    // Zero has no sign here.
                    if (text.StartsWith('-') && value == 0)
                        continue;
                    var cursor = new ConstraintCursor(masks, Eos, [Eos]);
                    Assert.True((text.All(digit => cursor.Accept(2 + digit)) && cursor.CanEnd) == holds(value), $"{text} with {keywords}");
                }
            }
        }
    }

    [Fact]
    public void Hundreds_of_optional_properties_may_come_in_any_subset_of_their_order()
    {
        var properties = string.Join(',', Enumerable.Range(0, 300).Select(i => $"\"p{i}\": {{\"type\": \"null\"}}"));
        var masks = new TokenMasks(Compile($$"""{"type": "object", "properties": {{{properties}}}, "additionalProperties": false}"""), Arrows);
        foreach (var (text, member) in new[] { ("{}", true), ("""{"p0":null,"p299":null}""", true), ("""{"p7":null}""", true), ("""{"p7":null,"p6":null}""", false), ("""{"p300":null}""", false) })
        {
            var cursor = new ConstraintCursor(masks, Eos, [Eos]);
            Assert.Equal(member, text.All(digit => cursor.Accept(2 + digit)) && cursor.CanEnd);
        }
    }

    [Theory]
    [InlineData("""{"type": "number", "multipleOf": 3}""", "'multipleOf' at #")]
    [InlineData("""{"type": "number", "maximum": true}""", "'maximum' at #")]
    [InlineData("""{"type": "number", "minimum": 3, "maximum": 2.5}""", "no text satisfies")]
    [InlineData("""{"type": "object", "propertyNames": {}}""", "'propertyNames' at #")]
    [InlineData("""{"type": "object", "dependentRequired": {}}""", "'dependentRequired' at #")]
    [InlineData("""{"type": "string", "nullable": true}""", "'nullable' at #")]
    [InlineData("""{"properties": {"a": {"type": "array", "uniqueItems": true}}}""", "'uniqueItems' at #/properties/a")]
    [InlineData("""{"properties": {"a/b": {"not": {}}}}""", "'not' at #/properties/a~1b")]
    [InlineData("""{"type": "object", "patternProperties": {}}""", "'patternProperties' at #")]
    [InlineData("""{"type": "object", "minProperties": 1}""", "'minProperties' at #")]
    [InlineData("""{"if": {}, "then": {}}""", "'if' at #")]
    [InlineData("""{"allOf": [{}, {}]}""", "'allOf' at #")]
    [InlineData("""{"oneOf": [{"type": "integer"}, {"type": "number"}]}""", "'oneOf' at #")]
    [InlineData("""{"oneOf": [{"type": "object"}, {"type": "object"}]}""", "'oneOf' at #")]
    [InlineData("""{"anyOf": [{}], "type": "object"}""", "'type' at #")]
    [InlineData("""{"type": "string", "format": "iri"}""", "'format' at #")]
    [InlineData("""{"type": "string", "pattern": "(?=a)"}""", "'pattern' at #")]
    [InlineData("""{"type": "string", "pattern": "a", "maxLength": 3}""", "'pattern' at #")]
    [InlineData("""{"$ref": "http://example.org/x"}""", "'$ref' at #")]
    [InlineData("""{"$ref": "#/$defs/none"}""", "points to nothing")]
    [InlineData("""{"$ref": "#"}""", "left-recursive")]
    [InlineData("""{"type": "word"}""", "unknown type 'word'")]
    [InlineData("""{"type": "string", "minLength": -1}""", "'minLength' at #")]
    [InlineData("""{"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}""", "no text satisfies")]
    [InlineData("""{"type": "string", "maxLength": 999999999}""", "too large")]
    [InlineData("false", "no text satisfies")]
    [InlineData("[]", "must be an object or a boolean")]
    [InlineData("{", "not valid JSON")]
    public void What_cannot_be_enforced_is_named(string schema, string named) =>
        Assert.Contains(named, Assert.Throws<ConstraintException>(() => Compile(schema)).Message, StringComparison.Ordinal);

    [Fact]
    public void Objects_told_apart_by_a_constant_may_be_oneOf()
    {
        const string Schema = """
            {"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}], "$defs": {
              "cat": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "cat"}}, "additionalProperties": false},
              "dog": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "dog"}}, "additionalProperties": false}}}
            """;
        var masks = new TokenMasks(new OutputConstraint(OutputConstraint.Form.JsonSchema, Schema) { Space = "" }.Compile(), Arrows);
        var texts = Enumerable.Range(0, 30).Select(seed => RandomWalk.Text(masks, Arrows, seed)).ToHashSet();
        Assert.Equal(["{\"kind\":\"cat\"}", "{\"kind\":\"dog\"}"], texts.Order());
    }

    [Fact]
    public void Others_are_forbidden_where_the_request_says_so()
    {
        var constraint = new OutputConstraint(OutputConstraint.Form.JsonSchema, """{"type": "object"}""") { Space = "", AllowOtherProperties = false };
        Assert.Equal("{}", RandomWalk.Text(new TokenMasks(constraint.Compile(), Arrows), Arrows, 1));
    }

    [Fact]
    public void White_space_can_only_be_white_space() =>
        Assert.Contains("white space", Assert.Throws<ConstraintException>(() => (OutputConstraint.JsonObject with { Space = "[ a]" }).Compile()).Message, StringComparison.Ordinal);

    private static Grammar Compile(string schema) => new OutputConstraint(OutputConstraint.Form.JsonSchema, schema).Compile();
}
