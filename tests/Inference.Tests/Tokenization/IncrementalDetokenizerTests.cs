using CsCheck;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

public class IncrementalDetokenizerTests
{
    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Byte_level_deltas_together_equal_the_whole_text(bool skipSpecialTokens) =>
        DeltasEqualWhole(Arrows, skipSpecialTokens);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SentencePiece_deltas_together_equal_the_whole_text(bool skipSpecialTokens) =>
        DeltasEqualWhole(Tokenizer.Load(SharedData.Path("models/stories260k")), skipSpecialTokens);

    [Fact]
    public void A_character_is_given_out_with_its_last_byte()
    {
        var detokenizer = new IncrementalDetokenizer(Arrows, skipSpecialTokens: true);
        int[] ids = Arrows.Encode("\U0001F600", addSpecialTokens: false);
        Assert.Equal(["", "", "", "\U0001F600"], ids.Select(detokenizer.Append));
        Assert.Equal("", detokenizer.Flush());
    }

    [Fact]
    public void A_character_that_never_ends_is_flushed_as_a_replacement_character()
    {
        var detokenizer = new IncrementalDetokenizer(Arrows, skipSpecialTokens: true);
        Assert.Equal("", detokenizer.Append(2 + 0xF0));
        Assert.Equal("\uFFFD", detokenizer.Flush());
    }

    [Fact]
    public void A_continuation_keeps_its_leading_space_so_prompt_and_output_join()
    {
        var tokenizer = Tokenizer.Load(SharedData.Path("models/stories260k"));
        int[] ids = tokenizer.Encode("The little dog was a little girl");
        for (var cut = 1; cut < ids.Length; cut++)
        {
            var detokenizer = new IncrementalDetokenizer(tokenizer, skipSpecialTokens: true, continuesText: cut > 1);
            var prompt = tokenizer.Decode(ids.AsSpan(0, cut), skipSpecialTokens: true);
            var output = string.Concat(ids.Skip(cut).Select(detokenizer.Append)) + detokenizer.Flush();
            Assert.Equal("The little dog was a little girl", prompt + output);
        }
    }

    private static void DeltasEqualWhole(Tokenizer tokenizer, bool skipSpecialTokens) =>
        Gen.Int[0, tokenizer.VocabularySize - 1].Array[0, 40].Sample(ids =>
        {
            var detokenizer = new IncrementalDetokenizer(tokenizer, skipSpecialTokens);
            var text = string.Concat(ids.Select(detokenizer.Append)) + detokenizer.Flush();
            return text == tokenizer.Decode(ids, skipSpecialTokens);
        });
}
