using CsCheck;

namespace Eigengate.Inference.Tests.Sampling;

/// <summary>Random JSON objects as text, with white space, every escape, numbers of every form and nesting.</summary>
internal static class RandomJson
{
    private static readonly string[] StringParts =
    [
        "a", "hello", " ", "->", "\u00E9", "\u4F60", "\U0001F600", "\\n", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\r", "\\t", "\\u00e9", "\\uD83D\\uDE00",
    ];

    private static readonly string[] Numbers = ["0", "-0", "7", "120", "-3.25", "0.5", "1e9", "1E-2", "2.5e+10"];

    private static readonly Gen<string> Space = Gen.Int[0, 5].Select(i => new[] { "", "", "", " ", "\n  ", "\t\r" }[i]);
    private static readonly Gen<string> Text =
        Gen.Int[0, StringParts.Length - 1].Select(i => StringParts[i]).List[0, 4].Select(parts => $"\"{string.Concat(parts)}\"");
    private static readonly Gen<string> Scalar = Gen.OneOf(
        Text,
        Gen.Int[0, Numbers.Length - 1].Select(i => Numbers[i]),
        Gen.Int[0, 2].Select(i => new[] { "true", "false", "null" }[i]));

    public static Gen<string> Object { get; } = Gen.Select(Space, ObjectOf(3)).Select((space, json) => space + json);

    private static Gen<string> Value(int depth) => depth == 0 ? Scalar : Gen.OneOf(Scalar, ObjectOf(depth - 1), ArrayOf(depth - 1));

    private static Gen<string> ObjectOf(int depth) =>
        Gen.Select(Space, Text, Space, Space, Value(depth), Space).Select((a, key, b, c, value, d) => $"{a}{key}{b}:{c}{value}{d}")
            .List[0, 3].Select(members => members.Count == 0 ? "{ }" : $"{{{string.Join(',', members)}}}");

    private static Gen<string> ArrayOf(int depth) =>
        Gen.Select(Space, Value(depth), Space).Select((a, value, b) => a + value + b)
            .List[0, 3].Select(items => $"[{string.Join(',', items)}]");
}
