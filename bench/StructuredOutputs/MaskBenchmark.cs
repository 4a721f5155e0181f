using System.Diagnostics;
using System.Text.Json.Nodes;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Bench.StructuredOutputs;

/// <summary>Follows texts token by token under ordinary constraints and takes the time of each step's mask.</summary>
internal static class MaskBenchmark
{
    private const string Record = """
        {"type": "object", "additionalProperties": false, "required": ["id", "name", "email", "status", "address", "tags"], "properties": {
          "id": {"type": "integer", "minimum": 1}, "name": {"type": "string", "maxLength": 80}, "email": {"type": "string", "pattern": "^[a-z0-9.]+@[a-z0-9]+\\.(com|org|net)$"},
          "status": {"enum": ["active", "suspended", "closed"]}, "score": {"type": "number"},
          "address": {"type": "object", "required": ["street", "city"], "properties": {"street": {"type": "string"}, "city": {"type": "string"}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}}},
          "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 10}}}
        """;

    private const string Arithmetic = """
        root    ::= sum ("=" sum)?
        sum     ::= sum [+-] product | product
        product ::= product [*/] factor | factor
        factor  ::= number | name | "(" sum ")" | name "(" sum ("," sum)* ")"
        number  ::= [0-9]+ ("." [0-9]+)?
        name    ::= [a-z]+
        """;

    private static readonly string[] Words = "the of and river stone market window evening letter garden winter copper paper signal bridge morning harbour answer number silver".Split(' ');

    public static void Run(Tokenizer tokenizer, int texts)
    {
        Console.WriteLine("| constraint | tokens | masks found | ms a mask: median | p90 | most | ms a step: median | mean | p99 |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        (string, OutputConstraint, Func<Random, string>)[] cases =
        [
            ("JSON object", OutputConstraint.JsonObject, random => Object(random, 3).ToJsonString()),
            ("JSON schema of a record", new OutputConstraint(OutputConstraint.Form.JsonSchema, Record), random => RecordOf(random).ToJsonString()),
            ("regex, an e-mail and a date", new OutputConstraint(OutputConstraint.Form.Regex, @"[a-z0-9._]+@[a-z0-9]+\.(com|org|net) \d{4}-\d{2}-\d{2}"), random => $"{Word(random)}.{Word(random)}@{Word(random)}.org 20{random.Next(10, 99)}-0{random.Next(1, 9)}-1{random.Next(0, 9)}"),
            ("choice of 1,000", OutputConstraint.Choice(Enumerable.Range(0, 1_000).Select(Choice)), random => Choice(random.Next(1_000))),
            ("grammar of arithmetic", new OutputConstraint(OutputConstraint.Form.Grammar, Arithmetic), random => Sum(random, 4)),
        ];
        foreach (var (name, constraint, text) in cases)
            Measure(name, new TokenMasks(constraint.Compile(), tokenizer), tokenizer, text, texts);
    }

    private static void Measure(string name, TokenMasks masks, Tokenizer tokenizer, Func<Random, string> text, int texts)
    {
        List<double> found = [], steps = [];
        for (int i = 0; i < texts; i++)
        {
            PushdownState at = masks.Start;
            foreach (int id in tokenizer.Encode(text(new Random(i)), addSpecialTokens: false))
            {
                bool known = at.Mask is not null;
                long began = Stopwatch.GetTimestamp();
                ulong[] mask = masks.Mask(at);
                double ms = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
                steps.Add(ms);
                if (!known)
                    found.Add(ms);
                at = (mask[id / 64] >> id & 1) != 0 ? masks.Next(at, id)! : throw new InvalidOperationException($"{name}: the token {id} of a text that satisfies the constraint is masked");
            }
        }

        found.Sort();
        steps.Sort();
        Console.WriteLine($"| {name} | {steps.Count} | {found.Count} | {At(found, 0.5):0.000} | {At(found, 0.9):0.000} | {found[^1]:0.00} | {At(steps, 0.5):0.0000} | {steps.Average():0.000} | {At(steps, 0.99):0.000} |");
    }

    private static double At(List<double> sorted, double share) => sorted[(int)(share * (sorted.Count - 1))];

    private static string Word(Random random) => Words[random.Next(Words.Length)];

    private static string Choice(int i) => $"{Words[i % 20]} {Words[i / 20 % 20]} {i}";

    private static string Sentence(Random random) => string.Join(' ', Enumerable.Range(0, random.Next(1, 12)).Select(_ => Word(random)));

    private static JsonObject RecordOf(Random random) => new()
    {
        ["id"] = random.Next(1, 100_000),
        ["name"] = $"{Word(random)} {Word(random)}",
        ["email"] = $"{Word(random)}@{Word(random)}.com",
        ["status"] = "suspended",
        ["score"] = Math.Round(random.NextDouble() * 100, 2),
        ["address"] = new JsonObject { ["street"] = $"{random.Next(1, 99)} {Word(random)} street", ["city"] = Word(random), ["zip"] = $"{random.Next(10_000, 99_999)}" },
        ["tags"] = new JsonArray([.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => JsonValue.Create(Word(random)))]),
    };

    private static JsonObject Object(Random random, int depth)
    {
        var json = new JsonObject();
        for (int i = random.Next(2, 6); i > 0; i--)
            json[$"{Word(random)} {i}"] = Value(random, depth);
        return json;
    }

    private static JsonNode? Value(Random random, int depth) => random.Next(depth > 0 ? 7 : 5) switch
    {
        0 => JsonValue.Create(random.Next(-1_000_000, 1_000_000)),
        1 => JsonValue.Create(random.NextDouble()),
        2 => random.Next(2) == 0 ? null : JsonValue.Create(true),
        3 or 4 => JsonValue.Create(Sentence(random)),
        5 => new JsonArray([.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => Value(random, depth - 1))]),
        _ => Object(random, depth - 1),
    };

    private static string Sum(Random random, int depth) => string.Join(random.Next(2) == 0 ? "+" : "*", Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Next(depth > 0 ? 4 : 2) switch
    {
        0 => $"{random.Next(10_000)}.{random.Next(100)}",
        1 => Word(random),
        2 => $"({Sum(random, depth - 1)})",
        _ => $"{Word(random)}({Sum(random, depth - 1)},{Sum(random, depth - 1)})",
    }));
}
