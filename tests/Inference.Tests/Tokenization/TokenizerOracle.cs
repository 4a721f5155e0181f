using System.Text;
using System.Text.Json;
using CsCheck;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Compares ids, decoded text and incremental text with the reference library.</summary>
internal static class TokenizerOracle
{
    public static async Task EqualsReference(string directory, Gen<string> texts, int count)
    {
        Tokenizer tokenizer = Tokenizer.Load(directory);

        // A fixed seed: what the Unicode versions of the two programs disagree about must not appear on some days only.
        string[] cases = texts.Array[count].Generate(new PCG(1, 20261123), null, out _);
        ReferenceEncoding[] expected = await RustTokenizers.EncodeAsync(directory, cases);
        for (int i = 0; i < cases.Length; i++)
        {
            string escaped = JsonSerializer.Serialize(cases[i]);
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
