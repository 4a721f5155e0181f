using System.Text.Json.Nodes;
using CsCheck;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>The committed tokenizer: ids 0 and 1 are &lt;s&gt; and &lt;/s&gt;, 2 + b is byte b, the rest is listed in the tests.</summary>
public class ByteLevelTokenizerTests
{
    private const int Arrow = 258;
    private const int SpaceArrow = 259;
    private const int He = 260;
    private const int Hell = 262;
    private const int Hello = 263;
    private const int Reverse = 264;
    private const int End = 265;
    private const int Tool = 266;

    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);

    public static TheoryData<string, int[]> HandDerived => new()
    {
        { "", [] },
        { "hello", [Hello] },
        { "hello -> hi", [Hello, SpaceArrow, Byte(' '), Byte('h'), Byte('i')] },
        { "a->b", [Byte('a'), Arrow, Byte('b')] },
        { "a  ->", [Byte('a'), Byte(' '), SpaceArrow] },
        { "-->", [Byte('-'), Arrow] },
        { "helloo", [Hello, Byte('o')] },
        { "hellhe", [Hell, He] },
        { "he llo", [He, Byte(' '), 261, Byte('o')] },
        { "<|reverse|>he</s>", [Reverse, He, 1] },
        { "<|reverse|", [Byte('<'), Byte('|'), .. "reverse".Select(Byte), Byte('|')] },
        { "x<tool>", [Byte('x'), Tool] },
        { "\u00E9", [2 + 0xC3, 2 + 0xA9] },
        { "e\u0301", [2 + 0xC3, 2 + 0xA9] },
        { "\U0001F600", [2 + 0xF0, 2 + 0x9F, 2 + 0x98, 2 + 0x80] },
        { "\uD83D", [2 + 0xEF, 2 + 0xBF, 2 + 0xBD] },
    };

    [Theory]
    [MemberData(nameof(HandDerived))]
    public void Ids_equal_those_derived_by_hand(string text, int[] expected) =>
        Assert.Equal(expected, Arrows.Encode(text, addSpecialTokens: false));

    [Fact]
    public void The_begin_token_is_added_only_on_request()
    {
        Assert.Equal([0, Hello], Arrows.Encode("hello"));
        Assert.Equal([Hello], Arrows.Encode("hello", addSpecialTokens: false));
    }

    [Fact]
    public void A_list_of_end_tokens_becomes_the_primary_one_and_the_extra_ones()
    {
        Assert.Equal(0, Arrows.BosId);
        Assert.Equal(1, Arrows.EosId);
        Assert.Equal([End], Arrows.ExtraEosIds);
        Assert.Equal(267, Arrows.VocabularySize);
    }

    [Fact]
    public void Special_tokens_are_left_out_of_the_text_on_request_and_other_added_tokens_are_not()
    {
        int[] ids = [0, Reverse, Hello, Tool, 1];
        Assert.Equal("<s><|reverse|>hello<tool></s>", Arrows.Decode(ids, skipSpecialTokens: false));
        Assert.Equal("hello<tool>", Arrows.Decode(ids, skipSpecialTokens: true));
        Assert.True(Arrows.IsSpecial(Reverse));
        Assert.False(Arrows.IsSpecial(Tool));
    }

    [Fact]
    public void A_partial_character_is_shown_as_a_replacement_character()
    {
        Assert.Equal(" ->", Arrows.TokenText(SpaceArrow));
        Assert.Equal("\uFFFD", Arrows.TokenText(2 + 0xF0));
        Assert.Equal([0xF0], Arrows.TokenBytes(2 + 0xF0).ToArray());
        Assert.Empty(Arrows.TokenBytes(100_000).ToArray());
    }

    [Fact]
    public void Any_text_survives_encoding_and_decoding_when_nothing_normalizes_it()
    {
        using var folder = TokenizerFolder.ArrowsWith(json => json["normalizer"] = null);
        var tokenizer = folder.Load();
        RandomText.Gen.Sample(text => tokenizer.Decode(tokenizer.Encode(text, addSpecialTokens: false), skipSpecialTokens: false) == text);
    }

    [Fact]
    public void Letters_outside_the_basic_plane_are_letters_to_the_splitting_pattern()
    {
        using var folder = TokenizerFolder.ArrowsWith(json =>
        {
            json["model"]!["merges"]!.AsArray().Add((JsonNode)new JsonArray("a", "\u00F0"));
            json["model"]!["vocab"]!["a\u00F0"] = 267;
        });
        // F0 9D 92 A2: as a symbol it would be a piece apart from the letter before it, and the merge impossible.
        Assert.Equal([267, 2 + 0x9D, 2 + 0x92, 2 + 0xA2], folder.Load().Encode("a\U0001D4A2", addSpecialTokens: false));
        Assert.Equal([Byte('a'), 2 + 0xF0], folder.Load().Encode("a\U0001F600", addSpecialTokens: false)[..2]);
    }

    [Fact]
    public void Whole_pieces_come_first_when_the_file_ignores_merges()
    {
        using var folder = TokenizerFolder.ArrowsWith(json =>
        {
            json["model"]!["ignore_merges"] = true;
            json["model"]!["vocab"]!["hid"] = 267;
        });
        Assert.Equal([267], folder.Load().Encode("hid", addSpecialTokens: false));
    }

    private static int Byte(char character) => 2 + character;
}
