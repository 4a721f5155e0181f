using System.Text.Json;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Ids computed by SentencePiece and by llama2.c, recorded beside the model.</summary>
public class Stories260kTokenizerTests
{
    private static string ModelFolder => SharedData.Path("models/stories260k");

    [Fact]
    public void Tokenizer_json_gives_the_ids_of_llama2c()
    {
        var tokenizer = Tokenizer.Load(ModelFolder);
        foreach (var (text, expected) in Cases("llama2c_ids"))
            Assert.Equal(expected, tokenizer.Encode(text));
    }

    [Fact]
    public void Tokenizer_model_gives_the_ids_of_SentencePiece()
    {
        using var folder = OnlyTokenizerModel();
        var tokenizer = folder.Load();
        foreach (var (text, expected) in Cases("sentencepiece_ids"))
            Assert.Equal(expected, tokenizer.Encode(text));
    }

    [Fact]
    public void Both_files_give_the_same_bytes_for_every_token()
    {
        using var folder = OnlyTokenizerModel();
        var fromModel = folder.Load();
        var fromJson = Tokenizer.Load(ModelFolder);
        Assert.Equal(512, fromJson.VocabularySize);
        Assert.Equal(512, fromModel.VocabularySize);
        for (var id = 0; id < 512; id++)
        {
            Assert.Equal(fromModel.TokenBytes(id).ToArray(), fromJson.TokenBytes(id).ToArray());
            Assert.Equal(fromModel.IsSpecial(id), fromJson.IsSpecial(id));
        }
    }

    [Fact]
    public void Special_ids_come_from_the_configuration_files()
    {
        var tokenizer = Tokenizer.Load(ModelFolder);
        Assert.Equal(1, tokenizer.BosId);
        Assert.Equal(2, tokenizer.EosId);
        Assert.Empty(tokenizer.ExtraEosIds);
    }

    [Fact]
    public void Text_survives_encoding_and_decoding()
    {
        var tokenizer = Tokenizer.Load(ModelFolder);
        foreach (var (text, _) in Cases("llama2c_ids"))
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text), skipSpecialTokens: true));
    }

    [Fact]
    public void Special_tokens_written_in_the_text_are_recognised()
    {
        var tokenizer = Tokenizer.Load(ModelFolder);
        int[] once = tokenizer.Encode("Once", addSpecialTokens: false);
        Assert.Equal([.. once, 2, .. once], tokenizer.Encode("Once</s>Once", addSpecialTokens: false));
    }

    private static TokenizerFolder OnlyTokenizerModel()
    {
        var folder = new TokenizerFolder();
        foreach (var name in new[] { "tokenizer.model", "config.json", "tokenizer_config.json" })
            folder.Write(name, File.ReadAllBytes(Path.Combine(ModelFolder, name)));
        return folder;
    }

    private static List<(string Text, int[] Ids)> Cases(string field)
    {
        using var reference = JsonDocument.Parse(File.ReadAllText(Path.Combine(ModelFolder, "reference.json")));
        return [.. reference.RootElement.GetProperty("tokenizer_cases").EnumerateArray()
            .Select(c => (c.GetProperty("text").GetString()!, c.GetProperty(field).EnumerateArray().Select(id => id.GetInt32()).ToArray()))];
    }
}
