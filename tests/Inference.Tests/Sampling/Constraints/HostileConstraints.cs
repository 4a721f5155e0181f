using Eigengate.Inference.Sampling.Constraints;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

/// <summary>Constraints that would cost a naive implementation unbounded time or memory.</summary>
internal static class HostileConstraints
{
    public static IReadOnlyDictionary<string, OutputConstraint> All { get; } = new Dictionary<string, OutputConstraint>
    {
        ["regex (a{1000}){1000}"] = Regex("(a{1000}){1000}"),
        ["regex ((a{500}){500}b?){500}"] = Regex("((a{500}){500}b?){500}"),
        ["regex a{0,100000}"] = Regex("a{0,100000}"),
        ["regex (((a?){300}){300}){300}"] = Regex("(((a?){300}){300}){300}"),
        ["regex (a*)*…* 60 deep"] = Regex(string.Concat(Enumerable.Repeat("(", 60)) + "a" + string.Concat(Enumerable.Repeat(")*", 60))),
        ["regex (.*a){60}, subset explosion"] = Regex("(.*a){60}"),
        ["regex (a|b| )*a(a|b| ){40}"] = Regex("(a|b| )*a(a|b| ){40}"),
        ["regex of 8,000 alternatives"] = Regex(string.Join('|', Enumerable.Range(0, 8_000).Select(i => $"x{i}"))),
        ["regex [^a-z]{1,20000} over Unicode"] = Regex("[^a-zé-œΑ-Ω]{1,20000}"),
        ["regex, 20,000 times a class of 6,000 ranges"] = Regex("[" + string.Concat(Enumerable.Range(0, 6_000).Select(i => (char)(0x4000 + (2 * i)))) + "]{1,20000}"),
        ["regex, 90 groups deep"] = Regex(string.Concat(Enumerable.Repeat("(", 90)) + "a" + string.Concat(Enumerable.Repeat("|b)", 90))),
        ["choice of 60,000 texts"] = OutputConstraint.Choice(Enumerable.Range(0, 60_000).Select(i => $"{i * 7919L % 1_000_003:x}")),
        ["choice, 400 texts of 2,000 letters"] = OutputConstraint.Choice(Enumerable.Range(0, 400).Select(i => new string('a', 2_000 - i) + "b")),
        ["schema, objects 90 deep"] = Schema(Nested(90, inner => $$"""{"type":"object","properties":{"a":{{inner}}},"required":["a"],"additionalProperties":false}""")),
        ["schema, arrays 90 deep"] = Schema(Nested(90, inner => $$"""{"type":"array","items":{{inner}},"minItems":1}""")),
        ["schema, anyOf tree of 2^14 leaves by $ref"] = Schema(Doubling(14, "anyOf")),
        ["schema, properties tree of 2^14 leaves by $ref"] = Schema(Doubling(14, "properties")),
        ["schema, JSON tree 2^13 anyOf without $ref"] = Schema(Nested(13, inner => $$"""{"anyOf":[{{inner}},{{inner}}]}""")),
        ["schema, enum of 50,000"] = Schema($$"""{"enum":[{{string.Join(',', Enumerable.Range(0, 50_000).Select(i => $"\"value {i * 7919L % 1_000_003}\""))}}]}"""),
        ["schema, 3,000 optional properties"] = Schema($$$"""{"type":"object","properties":{{{{string.Join(',', Enumerable.Range(0, 3_000).Select(i => $"\"p{i}\":{{\"type\":\"integer\"}}"))}}}}}"""),
        ["schema, maxItems 100000"] = Schema("""{"type":"array","items":{"type":"string","maxLength":2000},"minItems":1000,"maxItems":100000}"""),
        ["schema, items within items, each up to 1000"] = Schema("""{"type":"array","maxItems":1000,"items":{"type":"array","maxItems":1000,"items":{"type":"array","maxItems":1000,"items":{"type":"string","maxLength":1000}}}}"""),
        ["schema, prefixItems of 2,000"] = Schema($$"""{"type":"array","prefixItems":[{{string.Join(',', Enumerable.Repeat("{\"type\":\"boolean\"}", 2_000))}}]}"""),
        ["schema, $ref to itself"] = Schema("""{"$ref":"#"}"""),
        ["schema, $ref in 8,000 spellings to one large part"] = Schema($$$"""{"anyOf":[{{{string.Join(',', Enumerable.Range(0, 8_000).Select(Spelling))}}}],"$defs":{"abcdefghijklm":{"enum":[{{{string.Join(',', Enumerable.Range(0, 5_000))}}}]} } }"""),
        ["schema, 20,000 levels of brackets"] = Schema(new string('[', 20_000)),
        ["schema, $ref circle"] = Schema("""{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"""),
        ["schema, $ref with anyOf of itself"] = Schema("""{"anyOf":[{"$ref":"#"},{"type":"array","items":{"$ref":"#"}}]}"""),
        ["schema, oneOf of 200 objects"] = Schema($$"""{"oneOf":[{{string.Join(',', Enumerable.Range(0, 200).Select(i => $$"""{"type":"object","required":["k"],"properties":{"k":{"const":"{{i}}"} } }"""))}}]}"""),
        ["schema, oneOf of 200 objects with 200 constants"] = Schema($$"""{"oneOf":[{{string.Join(',', Enumerable.Range(0, 200).Select(Constants))}}]}"""),
        ["schema, 3,000 oneOf of two large objects"] = Schema($$$"""{"anyOf":[{{{string.Join(',', Enumerable.Repeat("{\"oneOf\":[{\"$ref\":\"#/$defs/c0\"},{\"$ref\":\"#/$defs/c1\"}]}", 3_000))}}}],"$defs":{"c0":{{{Constants(0)}}},"c1":{{{Constants(1)}}} } }"""),
        ["schema, pattern (a|b)*a(a|b){60}"] = Schema("""{"type":"string","pattern":"(a|b)*a(a|b){60}"}"""),
        ["schema, patternProperties"] = Schema("""{"type":"object","patternProperties":{"^(a+)+$":{"type":"string"}}}"""),
        ["grammar, left recursion"] = Ebnf("root ::= root \"+\" root | [0-9]+"),
        ["grammar, indirect left recursion"] = Ebnf("root ::= a \"x\" | \"y\"\na ::= root \"z\" | \"w\""),
        ["grammar, nullable circle"] = Ebnf("root ::= a\na ::= b \"x\"?\nb ::= a? \"y\"?"),
        ["grammar, highly ambiguous"] = Ebnf("root ::= s\ns ::= \"a\" | \"a\" s | \"a\" s s | \"a\" s s s"),
        ["grammar, ambiguous nested stars"] = Ebnf("root ::= (a | b)*\na ::= \"x\" (a | b)* \"y\"?\nb ::= \"x\" (b | a)* \"y\"?"),
        ["grammar, 20,000 rules in a chain"] = Ebnf(string.Join('\n', Enumerable.Range(0, 20_000).Select(i => $"{(i == 0 ? "root" : $"r{i}")} ::= {(i == 19_999 ? "\"a\"" : $"r{i + 1} | \"b\"")}"))),
        ["grammar, doubling 2^40 without recursion"] = Ebnf("root ::= r0\n" + string.Join('\n', Enumerable.Range(0, 40).Select(i => $"r{i} ::= {(i == 39 ? "\"ab\"?" : $"r{i + 1} r{i + 1}")}"))),
        ["grammar, 5,000 alternatives of one beginning"] = Ebnf("root ::= " + string.Join(" | ", Enumerable.Range(0, 5_000).Select(i => $"[a-z]* \"{i}\""))),
    };

    private static OutputConstraint Regex(string pattern) => new(OutputConstraint.Form.Regex, pattern);

    private static OutputConstraint Ebnf(string grammar) => new(OutputConstraint.Form.Grammar, grammar);

    private static OutputConstraint Schema(string schema) => new(OutputConstraint.Form.JsonSchema, schema);

    private static string Nested(int depth, Func<string, string> wrap) => Enumerable.Range(0, depth).Aggregate("""{"type":"integer"}""", (inner, _) => wrap(inner));

    /// <summary>Each definition uses the next one twice.</summary>
    private static string Doubling(int depth, string keyword)
    {
        string Twice(string next) => keyword == "anyOf" ? $$"""{"anyOf":[{{next}},{{next}}]}""" : $$"""{"type":"object","properties":{"a":{{next}},"b":{{next}}},"additionalProperties":false}""";
        IEnumerable<string> definitions = Enumerable.Range(0, depth).Select(i =>
            $"\"d{i}\":{(i == depth - 1 ? "{\"type\":\"null\"}" : Twice($"{{\"$ref\":\"#/$defs/d{i + 1}\"}}"))}");
        return $$$"""{"$ref":"#/$defs/d0","$defs":{{{{string.Join(',', definitions)}}}}}""";
    }

    private static string Spelling(int i) => "{\"$ref\":\"#/$defs/" + string.Concat(Enumerable.Range(0, 13).Select(bit => (i >> bit & 1) == 0 ? $"{(char)('a' + bit)}" : $"%{(int)'a' + bit:x}")) + "\"}";

    private static string Constants(int i)
    {
        string names = string.Join(',', Enumerable.Range(0, 200).Select(j => $"\"k{j}\""));
        string properties = string.Join(',', Enumerable.Range(0, 200).Select(j => $"\"k{j}\":{{\"const\":\"{(j == 199 ? i : 0)}\"}}"));
        return $$$"""{"type":"object","properties":{{{{properties}}}},"required":[{{{names}}}]}""";
    }
}
