using System.Text.Json;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>NFC and NFD seen through a tokenizer; the cases are random code points normalized by Python's unicodedata.</summary>
public class CanonicalFormTests
{
    [Theory]
    [InlineData("NFC", 1)]
    [InlineData("NFD", 2)]
    public void Texts_are_normalized_like_the_reference(string form, int column)
    {
        using var folder = TokenizerFolder.ArrowsWith(json => json["normalizer"]!["type"] = form);
        var tokenizer = folder.Load();
        var cases = Path.Combine(AppContext.BaseDirectory, "Tokenization", "Fixtures", "canonical-forms.json");
        foreach (var texts in JsonSerializer.Deserialize<string[][]>(File.ReadAllText(cases))!)
            Assert.Equal(texts[column], tokenizer.Decode(tokenizer.Encode(texts[0], addSpecialTokens: false), skipSpecialTokens: false));
    }
}
