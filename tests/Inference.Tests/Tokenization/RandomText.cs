using System.Text;
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

    private static readonly (int First, int Last)[] Scripts =
    [
        (0x0000, 0x0020), (0x0020, 0x007E), (0x007F, 0x00FF), (0x0100, 0x024F), (0x0300, 0x036F), (0x0370, 0x03FF), (0x0400, 0x04FF),
        (0x05D0, 0x05EA), (0x0600, 0x06FF), (0x0900, 0x097F), (0x0E00, 0x0E5B), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x2000, 0x206F),
        (0x2070, 0x209C), (0x20A0, 0x20BF), (0x2100, 0x218B), (0x2460, 0x24FF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x4E00, 0x9FFF),
        (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFAD9), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10400, 0x1044F), (0x1D400, 0x1D7FF),
        (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F64F), (0x20000, 0x2A6DF), (0xE0100, 0xE01EF),
    ];

    private static readonly string[] Sentences =
    [
        "The quick brown fox jumps over the lazy dog. ", "def f(x):\n    return x ** 2\n\n\tprint(f(3.14))\r\n", "I'll say we're DONE, it's 12,345.67!",
        "Größe naïve façade; ", "Съешь же ещё этих мягких французских булок", "天地玄黃，宇宙洪荒。", "いろはにほへと ちりぬるを", "한국어 문장입니다. ",
        "مرحبا بالعالم ", "नमस्ते दुनिया", "สวัสดีชาวโลก", "👩🏽‍💻🇩🇪👍🏿", "https://example.org/a?b=c&d=%20#e", "{\"key\": [1, 2, null]}", "    \n\n\n   \t x",
    ];

    private static Gen<string> CodePoint { get; } =
        CsCheck.Gen.Int[0, Scripts.Length - 1].SelectMany(i => CsCheck.Gen.Int[Scripts[i].First, Scripts[i].Last]).Select(c => new Rune(c).ToString());

    /// <summary>Valid Unicode of many scripts, runs of one character, sentences, code, and the given tokens written in the text.</summary>
    public static Gen<string> Unicode(params string[] tokens) =>
        CsCheck.Gen.Frequency(
            (6, Gen),
            (6, CodePoint.List[0, 12].Select(string.Concat)),
            (3, CsCheck.Gen.Int[0, Sentences.Length - 1].Select(i => Sentences[i])),
            (1, CodePoint.SelectMany(c => CsCheck.Gen.Int[1, 40].Select(n => string.Concat(Enumerable.Repeat(c, n))))),
            (2, CsCheck.Gen.Int[0, tokens.Length - 1].Select(i => tokens[i]))).List[0, 6].Select(string.Concat);
}
