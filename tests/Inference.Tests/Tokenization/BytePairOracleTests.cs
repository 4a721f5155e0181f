using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CsCheck;
using Microsoft.ML.Tokenizers;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Against Microsoft.ML.Tokenizers, whose byte-level BPE is exact on texts of the basic plane.</summary>
public class BytePairOracleTests
{
    private const int Merges = 400;

    [Fact]
    public void Byte_level_ids_equal_an_independent_implementation()
    {
        var random = new Random(1);
        var vocabulary = new Dictionary<string, int>();
        var merges = new List<string>();
        using var folder = TokenizerFolder.ArrowsWith(json => AddMerges(json, random, vocabulary, merges));
        var ours = folder.Load();
        var pattern = (string)JsonNode.Parse(File.ReadAllText(Path.Combine(folder.Path, "tokenizer.json")))!["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"]!;
        var oracle = BpeTokenizer.Create(new BpeOptions(vocabulary)
        {
            Merges = merges,
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(new Regex(pattern), null),
        });
        RandomText.Gen.Where(text => !text.Any(char.IsSurrogate) && !text.Contains('<')).Sample(text =>
            ours.Encode(text, addSpecialTokens: false).SequenceEqual(oracle.EncodeToIds(text)));
    }

    /// <summary>Random merges over the frequent characters, so that many of them apply and compete.</summary>
    private static void AddMerges(JsonNode json, Random random, Dictionary<string, int> vocabulary, List<string> merges)
    {
        var model = json["model"]!;
        json["normalizer"] = null;
        foreach (var (piece, id) in model["vocab"]!.AsObject())
            vocabulary[piece] = (int)id!;
        List<string> pieces = [.. "helo -'s12.<|>\u0120\u010A\u0122\u00E2\u00C3".Where(c => c != ' ').Select(c => c.ToString())];
        while (merges.Count < Merges)
        {
            var (left, right) = (pieces[random.Next(pieces.Count)], pieces[random.Next(pieces.Count)]);
            if (left.Length + right.Length > 6 || !vocabulary.TryAdd(left + right, 1000 + merges.Count))
                continue;
            merges.Add($"{left} {right}");
            pieces.Add(left + right);
        }

        // Merges of the committed file would come first; here only the random ones count.
        model["merges"] = new JsonArray([.. merges.Select(m => (JsonNode)m)]);
        foreach (var (piece, id) in vocabulary)
            model["vocab"]![piece] = id;
    }
}
