using System.Buffers.Binary;
using System.Text;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Small tokenizer.model files written field by field. Ids 0, 1, 2 are unk, bos, eos.</summary>
public class SentencePieceModelTests
{
    private const string Space = "\u2581";

    [Fact]
    public void Equal_scores_merge_from_the_left()
    {
        using var folder = Model([("a", -9, 1), ("aa", -1, 1), (Space, -9, 1)]);
        Assert.Equal([5, 4, 4, 3], folder.Load().Encode("aaaaa", addSpecialTokens: false));
    }

    [Fact]
    public void The_higher_score_merges_first_wherever_it_stands()
    {
        using var folder = Model([("a", -9, 1), ("b", -9, 1), ("ab", -2, 1), ("ba", -1, 1), (Space, -9, 1)]);
        Assert.Equal([7, 3, 6], folder.Load().Encode("aba", addSpecialTokens: false));
    }

    [Fact]
    public void A_user_defined_piece_is_never_broken_or_merged()
    {
        using var folder = Model([("a", -9, 1), ("b", -9, 1), ("aba", -1, 4), ("ab", -2, 1), (Space, -9, 1)]);
        Assert.Equal([7, 5, 4], folder.Load().Encode("abab", addSpecialTokens: false));
    }

    [Fact]
    public void A_run_of_unknown_characters_is_one_unknown_token()
    {
        using var folder = Model([("a", -9, 1), (Space, -9, 1)]);
        Assert.Equal([4, 0, 3, 0], folder.Load().Encode("xyaz", addSpecialTokens: false));
    }

    [Fact]
    public void A_character_known_only_inside_a_piece_still_merges()
    {
        using var folder = Model([("a", -9, 1), ("aq", -1, 1), (Space, -9, 1)]);
        var tokenizer = folder.Load();
        Assert.Equal([5, 4], tokenizer.Encode("aq", addSpecialTokens: false));
        Assert.Equal([5, 0], tokenizer.Encode("q", addSpecialTokens: false));
    }

    [Fact]
    public void Spaces_are_kept_when_the_file_says_so()
    {
        using var folder = Model([("a", -9, 1), (Space, -9, 1)], normalizer: [0x18, 0x01, 0x20, 0x00]);
        Assert.Equal([4, 4, 3, 4, 4, 3], folder.Load().Encode(" a  a", addSpecialTokens: false));
    }

    [Fact]
    public void A_unigram_model_is_refused_by_name()
    {
        using var folder = Model([("a", -9, 1)], modelType: 1);
        var error = Assert.Throws<TokenizerFormatException>(folder.Load);
        Assert.Equal("trainer_spec.model_type", error.Field);
        Assert.EndsWith("tokenizer.model", error.File, StringComparison.Ordinal);
    }

    [Fact]
    public void A_character_map_is_refused_by_name()
    {
        using var folder = Model([("a", -9, 1)], normalizer: [0x12, 0x01, 0x00]);
        Assert.Equal("normalizer_spec.precompiled_charsmap", Assert.Throws<TokenizerFormatException>(folder.Load).Field);
    }

    [Fact]
    public void A_file_cut_anywhere_is_read_or_refused_but_never_crashes()
    {
        using var folder = Model([("a", -9, 1), (Space, -9, 1)], normalizer: [0x18, 0x01]);
        var whole = File.ReadAllBytes(Path.Combine(folder.Path, "tokenizer.model"));
        for (var length = 0; length < whole.Length; length++)
        {
            folder.Write("tokenizer.model", whole[..length]);
            try
            {
                folder.Load();
            }
            catch (TokenizerFormatException)
            {
            }
        }
    }

    private static TokenizerFolder Model((string Text, float Score, int Type)[] pieces, byte[]? normalizer = null, byte modelType = 2)
    {
        var file = new List<byte>();
        foreach (var piece in new[] { ("<unk>", 0f, 2), ("<s>", 0f, 3), ("</s>", 0f, 3) }.Concat(pieces))
            Add(file, 0x0A, Piece(piece));
        Add(file, 0x12, [0x18, modelType]);
        Add(file, 0x1A, normalizer ?? []);
        return new TokenizerFolder().Write("tokenizer.model", [.. file]);
    }

    private static byte[] Piece((string Text, float Score, int Type) piece)
    {
        var message = new List<byte>();
        Add(message, 0x0A, Encoding.UTF8.GetBytes(piece.Text));
        var score = new byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(score, piece.Score);
        return [.. message, 0x15, .. score, 0x18, (byte)piece.Type];
    }

    private static void Add(List<byte> message, byte tag, byte[] content) => message.AddRange([tag, (byte)content.Length, .. content]);
}
