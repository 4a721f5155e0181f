using CsCheck;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Texts that tokenizers find hard: white space runs, contractions, digits, marks, emoji, rare planes.</summary>
internal static class RandomText
{
    private static readonly string[] Fragments =
    [
        " ", "  ", "\n", "\r\n", "\t", "\u00A0", "\u3000", "'s", "'LL", "'", "->", " ->", "hello", "He", "ll", "o", "123", "4567", "\u0663",
        "\u00E9", "e\u0301", "\u4F60\u597D", "\u2581", "\U0001F600", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "\U0001D4A2", "\U00020000",
        ".", "...", "!?", "<", "<|", "|>", "\0", "\u0085", "\u200B", "\uFFFD", "\u0301", "_", "$",
    ];

    public static Gen<string> Gen { get; } =
        CsCheck.Gen.OneOf(CsCheck.Gen.Int[0, Fragments.Length - 1].Select(i => Fragments[i]), CsCheck.Gen.Char['\u0020', '\u007E'].Select(c => c.ToString()))
            .List[0, 30].Select(string.Concat);
}
