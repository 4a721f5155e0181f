using System.Text.Json.Nodes;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>What is not supported is refused with the name of the file and of the field.</summary>
public class TokenizerRefusalTests
{
    [Fact]
    public void A_folder_without_tokenizer_is_refused()
    {
        using var folder = new TokenizerFolder();
        Assert.EndsWith("tokenizer.json", Assert.Throws<TokenizerFormatException>(folder.Load).File, StringComparison.Ordinal);
    }

    [Fact]
    public void Broken_json_is_refused()
    {
        using var folder = new TokenizerFolder().Write("tokenizer.json", "{\"model\":");
        Assert.Equal("$", Assert.Throws<TokenizerFormatException>(folder.Load).Field);
    }

    [Theory]
    [InlineData("model.type", "\"Unigram\"", "model.type")]
    [InlineData("model.dropout", "0.1", "model.dropout")]
    [InlineData("model.end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix")]
    [InlineData("model.unk_token", "\"<nothing>\"", "model.unk_token")]
    [InlineData("model.merges", "[\"h e\", \"q x\"]", "model.merges[1]")]
    [InlineData("model.merges", "[\"h e y\"]", "model.merges[0]")]
    [InlineData("model.vocab", "{}", "model.vocab")]
    [InlineData("normalizer", "{\"type\":\"Lowercase\"}", "normalizer.type")]
    [InlineData("normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Nmt\"}]}", "normalizer.normalizers[1].type")]
    [InlineData("pre_tokenizer", "{\"type\":\"BertPreTokenizer\"}", "pre_tokenizer.type")]
    [InlineData("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}", "pre_tokenizer.pattern")]
    [InlineData("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Contiguous\"}", "pre_tokenizer.behavior")]
    [InlineData("post_processor", "{\"type\":\"BertProcessing\"}", "post_processor.type")]
    [InlineData("decoder", "{\"type\":\"WordPiece\"}", "decoder.type")]
    [InlineData("decoder", "null", "decoder")]
    [InlineData("added_tokens", "[{\"id\":0,\"content\":\"<s>\",\"single_word\":true}]", "added_tokens[0].single_word")]
    [InlineData("added_tokens", "[{\"id\":\"zero\",\"content\":\"<s>\"}]", "added_tokens[0].id")]
    public void An_unsupported_field_is_refused(string path, string value, string field)
    {
        using var folder = TokenizerFolder.ArrowsWith(json =>
        {
            var names = path.Split('.');
            var parent = names.Length == 1 ? json : json[names[0]]!;
            parent[names[^1]] = JsonNode.Parse(value);
        });
        var error = Assert.Throws<TokenizerFormatException>(folder.Load);
        Assert.Equal(field, error.Field);
        Assert.EndsWith("tokenizer.json", error.File, StringComparison.Ordinal);
        Assert.Contains(field, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_end_token_that_is_not_in_the_vocabulary_is_refused()
    {
        using var folder = TokenizerFolder.ArrowsWith(_ => { }).Write("tokenizer_config.json", "{\"eos_token\":\"<eos>\"}");
        Assert.Equal("eos_token", Assert.Throws<TokenizerFormatException>(folder.Load).Field);
    }

    [Fact]
    public void A_model_without_an_end_token_is_refused()
    {
        using var folder = TokenizerFolder.ArrowsWith(_ => { }).Write("tokenizer_config.json", "{}").Write("generation_config.json", "{}");
        Assert.Equal("eos_token_id", Assert.Throws<TokenizerFormatException>(folder.Load).Field);
    }

    [Theory]
    [InlineData("2147483647")]
    [InlineData("-1")]
    public void A_token_id_out_of_reason_is_refused(string id)
    {
        using var folder = TokenizerFolder.ArrowsWith(json => json["model"]!["vocab"]!["he"] = JsonNode.Parse(id));
        Assert.Equal("model.vocab.he", Assert.Throws<TokenizerFormatException>(folder.Load).Field);
    }

    [Fact]
    public void A_file_with_any_byte_changed_is_read_or_refused_but_never_crashes()
    {
        var original = File.ReadAllBytes(Path.Combine(TokenizerFolder.Arrows, "tokenizer.json"));
        var random = new Random(1);
        using var folder = TokenizerFolder.ArrowsWith(_ => { });
        for (var i = 0; i < 300; i++)
        {
            var changed = original.ToArray();
            changed[random.Next(changed.Length)] = (byte)"0-9{}[]\"\\:, un"[random.Next(14)];
            folder.Write("tokenizer.json", changed);
            try
            {
                folder.Load().Encode("hello -> <|reverse|>");
            }
            catch (TokenizerFormatException)
            {
            }
        }
    }
}
