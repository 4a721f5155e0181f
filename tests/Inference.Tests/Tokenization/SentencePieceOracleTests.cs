using System.Globalization;
using CsCheck;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>tokenizer.model files trained by SentencePiece itself, its ids and its decoding against ours.</summary>
public class SentencePieceOracleTests
{
    private const string Common =
        "--model_type=bpe --vocab_size=3200 --normalization_rule_name=identity --minloglevel=2 --num_threads=1 --hard_vocab_limit=false";

    [Theory]
    [InlineData("--byte_fallback=true --character_coverage=0.98")]
    [InlineData("--byte_fallback=true --character_coverage=0.98 --remove_extra_whitespaces=false --split_digits=true --allow_whitespace_only_pieces=true")]
    [InlineData("--byte_fallback=true --remove_extra_whitespaces=false --add_dummy_prefix=false")]
    [InlineData("--byte_fallback=false --character_coverage=0.98")]
    [InlineData("--byte_fallback=true --remove_extra_whitespaces=false --user_defined_symbols=<sep>,hello,he,->,1 --control_symbols=<ctl>")]
    [InlineData("--byte_fallback=true --split_by_whitespace=false --remove_extra_whitespaces=false --split_by_unicode_script=false")]
    public async Task Ids_and_texts_equal_SentencePiece(string options)
    {
        using var folder = new TokenizerFolder();
        string prefix = Path.Combine(folder.Path, "tokenizer"), corpus = Path.Combine(folder.Path, "corpus.txt"), model = $"{prefix}.model";
        await File.WriteAllLinesAsync(corpus, Lines(seed: 1, 600), TestContext.Current.CancellationToken);
        await ReferenceTool.RunAsync("spm_train", [$"--input={corpus}", $"--model_prefix={prefix}", .. Common.Split(' '), .. options.Split(' ')]);
        Tokenizer tokenizer = folder.Load();

        string[] texts = Lines(seed: 2, 1500);
        string[] ids = await Filter("spm_encode", model, "--output_format=id", texts);
        string[] decoded = await Filter("spm_decode", model, "--input_format=id", ids);
        Assert.Equal(texts.Length, ids.Length);
        for (int i = 0; i < texts.Length; i++)
        {
            int[] expected = [.. ids[i].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(id => int.Parse(id, CultureInfo.InvariantCulture))];
            int[] actual = tokenizer.Encode(texts[i], addSpecialTokens: false);
            Assert.True(
                expected.SequenceEqual(actual),
                $"{System.Text.Json.JsonSerializer.Serialize(texts[i])}\nreference: {ids[i]}\nours:      {string.Join(' ', actual)}");

            // SentencePiece writes an unknown token as " ⁇ ", tokenizer.json and we by its name.
            if (!expected.Contains(0))
                Assert.Equal(decoded[i], tokenizer.Decode(actual, skipSpecialTokens: true));
        }
    }

    /// <summary>
    /// Texts of one line each, which is what the programs read, without control pieces, which only model servers
    /// recognise in a text.
    /// </summary>
    private static string[] Lines(uint seed, int count)
    {
        string[] texts = RandomText.Unicode("<sep>", "hello", "he", "->", "111").Array[count].Generate(new PCG(1, seed), null, out _);
        return [.. texts
            .Select(text => string.Concat(text.Where(c => c is not ('\n' or '\r' or '\0'))))
            .Select(text => text.Replace("<s>", "", StringComparison.Ordinal).Replace("</s>", "", StringComparison.Ordinal))];
    }

    private static async Task<string[]> Filter(string program, string model, string option, string[] lines) =>
        (await ReferenceTool.RunAsync(program, [$"--model={model}", option, "--minloglevel=2"], string.Concat(lines.Select(line => line + "\n"))))
            .Split('\n')[..^1];
}
