using System.Text;
using CsCheck;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Exact ids and texts of tokenizer.json files against the library that defines the format.</summary>
public class TokenizerOracleTests
{
    [Theory]
    [InlineData("tokenizer-llama2", "<s>", "</s>", "<unk>")]
    [InlineData("tokenizer-llama3", "<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>")]
    [InlineData("tokenizer-qwen3", "<|im_start|>", "<|endoftext|>", "<think>")]
    public Task Real_vocabularies_give_the_reference_ids(string package, params string[] special) =>
        EqualReference(RustTokenizers.Vocabulary(package), RandomText.Unicode(special));

    [Fact]
    public Task Stories260k_gives_the_reference_ids() =>
        EqualReference(SharedData.Path("models/stories260k"), RandomText.Unicode("<s>", "</s>"));

    private static async Task EqualReference(string directory, Gen<string> texts, int count = 1500)
    {
        Tokenizer tokenizer = Tokenizer.Load(directory);

        // A fixed seed: what the Unicode versions of the two programs disagree about must not appear on some days only.
        string[] cases = texts.Array[count].Generate(new PCG(1, 20261123), null, out _);
        ReferenceEncoding[] expected = await RustTokenizers.EncodeAsync(directory, cases);
        for (int i = 0; i < cases.Length; i++)
        {
            string escaped = System.Text.Json.JsonSerializer.Serialize(cases[i]);
            int[] plain = tokenizer.Encode(cases[i], addSpecialTokens: false);
            Assert.True(
                expected[i].Plain.SequenceEqual(plain),
                $"{escaped}\nreference: {string.Join(' ', expected[i].Plain)}\nours:      {string.Join(' ', plain)}");
            Assert.Equal(expected[i].Ids, tokenizer.Encode(cases[i]));
            Assert.Equal(expected[i].Decoded, tokenizer.Decode(plain, skipSpecialTokens: false));
            NeverSplitsACharacter(tokenizer, plain, expected[i].Decoded);
        }
    }

    private static void NeverSplitsACharacter(Tokenizer tokenizer, int[] ids, string whole)
    {
        var detokenizer = new IncrementalDetokenizer(tokenizer, skipSpecialTokens: false);
        var text = new StringBuilder();
        foreach (int id in ids)
        {
            string delta = detokenizer.Append(id);
            Assert.True(delta.Length == 0 || (!char.IsLowSurrogate(delta[0]) && !char.IsHighSurrogate(delta[^1])), "half a surrogate pair");
            text.Append(delta);
            Assert.StartsWith(text.ToString(), whole, StringComparison.Ordinal);
        }

        Assert.Equal("", detokenizer.Flush());
        Assert.Equal(whole, text.ToString());
    }
}
