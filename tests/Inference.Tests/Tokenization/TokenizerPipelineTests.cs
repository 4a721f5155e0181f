using System.Text.Json.Nodes;
using CsCheck;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Every supported step of tokenizer.json, on a vocabulary of random merges, against the library that defines them.</summary>
public class TokenizerPipelineTests
{
    private static readonly string[] Steps =
    [
        """{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}}""",
        """{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}}""",
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, BYTES]}}""",
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": false}, BYTES]}}""",
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": "l"}, "behavior": "Isolated", "invert": false}, BYTES]}}""",
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Removed", "invert": false}, BYTES]}}""",
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\p{L}+|\\p{N}"}, "behavior": "Removed", "invert": true}, BYTES]}}""",
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "[.!? ]"}, "behavior": "MergedWithPrevious", "invert": false}, BYTES]}}""",
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithNext", "invert": false}, BYTES]}}""",
        """{"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Replace", "pattern": {"String": "ll"}, "content": "he"}]}}""",
        """{"normalizer": {"type": "Prepend", "prepend": "he"}}""",
        """{"added_tokens": [ENDS, {"id": NEXT, "content": "<a>", "single_word": false, "lstrip": true, "rstrip": false, "normalized": false, "special": true}]}""",
        """{"added_tokens": [ENDS, {"id": NEXT, "content": "<a>", "single_word": false, "lstrip": false, "rstrip": true, "normalized": false, "special": false}]}""",
        """{"normalizer": {"type": "NFC"}, "added_tokens": [ENDS, {"id": NEXT, "content": "naïve", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}]}""",
        """{"added_tokens": [ENDS, {"id": NEXT, "content": "<a>", "single_word": false, "lstrip": true, "rstrip": true, "normalized": true, "special": false}, {"id": AFTER, "content": "<a><a>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}]}""",
        """{"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}], "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}}}""",
    ];

    private static readonly string[] MetaspaceSteps =
    [
        """{"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}}""",
        """{"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}}""",
        """{"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true}, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true}}""",
        """{"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, "pre_tokenizer": null, "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}}""",
    ];

    public static TheoryData<string> ByteLevelSteps => [.. Steps];

    public static TheoryData<string, bool, bool> FallbackSteps
    {
        get
        {
            var data = new TheoryData<string, bool, bool>();
            foreach (string step in MetaspaceSteps)
            {
                data.Add(step, true, true);
                data.Add(step, false, true);
                data.Add(step, false, false);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(ByteLevelSteps))]
    public async Task Byte_level_steps_give_the_reference_ids(string step)
    {
        using var folder = TokenizerFolder.ArrowsWith(json =>
        {
            json["normalizer"] = null;
            foreach (string added in (string[])["<|reverse|>", "<|end|>", "<tool>"])
                json["model"]!["vocab"]!.AsObject().Remove(added);
            RandomMerges(json["model"]!, [.. "helo -'s12.<>aé\u0120\u010A\u00E2\u00C3".Where(c => c != ' ').Select(c => c.ToString())], byteLevel: true);
            Apply(json, step.Replace("BYTES", """{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}""", StringComparison.Ordinal));
        });
        await TokenizerOracle.EqualsReference(folder.Path, RandomText.Unicode("<s>", "</s>", "<a>", "<a><a>", " <a> ", "nai\u0308ve"), 300);
    }

    [Theory]
    [MemberData(nameof(FallbackSteps))]
    public async Task Metaspace_steps_give_the_reference_ids(string step, bool byteFallback, bool fuseUnknown)
    {
        using var folder = TokenizerFolder.ArrowsWith(json =>
        {
            JsonNode model = json["model"]!;
            var vocabulary = new JsonObject { ["<s>"] = 0, ["</s>"] = 1, ["<unk>"] = 2 };
            for (int value = 0; byteFallback && value < 256; value++)
                vocabulary[$"<0x{value:X2}>"] = vocabulary.Count;
            model["vocab"] = vocabulary;
            model["unk_token"] = "<unk>";
            model["byte_fallback"] = byteFallback;
            model["fuse_unk"] = fuseUnknown;
            model["ignore_merges"] = false;
            RandomMerges(model, ["▁", .. "helo-'s12.<>aé你".Select(c => c.ToString())], byteLevel: false);
            json["normalizer"] = null;
            Apply(json, step);
            json["post_processor"] = null;
        });
        folder.Write("generation_config.json", "{}");
        await TokenizerOracle.EqualsReference(folder.Path, RandomText.Unicode("<s>", "</s>"), 300);
    }

    private const string Ends =
        """{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}, {"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}""";

    /// <summary>Added tokens come after the vocabulary: the library numbers them so whatever the file says.</summary>
    private static void Apply(JsonNode json, string step)
    {
        int next = json["model"]!["vocab"]!.AsObject().Count;
        step = step.Replace("ENDS", Ends, StringComparison.Ordinal)
            .Replace("NEXT", $"{next}", StringComparison.Ordinal)
            .Replace("AFTER", $"{next + 1}", StringComparison.Ordinal);
        json["added_tokens"] = JsonNode.Parse($"[{Ends}]");
        foreach (var (name, value) in JsonNode.Parse(step)!.AsObject())
            json[name] = value?.DeepClone();
    }

    /// <summary>Merges of pieces over a few characters, so that many of them apply and compete.</summary>
    private static void RandomMerges(JsonNode model, List<string> pieces, bool byteLevel)
    {
        var random = new Random(1);
        JsonObject vocabulary = model["vocab"]!.AsObject();
        if (!byteLevel)
            pieces.ForEach(piece => vocabulary[piece] = vocabulary.Count);
        else
            pieces.RemoveAll(piece => !vocabulary.ContainsKey(piece));
        var merges = new JsonArray();
        while (merges.Count < 250)
        {
            var (left, right) = (pieces[random.Next(pieces.Count)], pieces[random.Next(pieces.Count)]);
            if (left.Length + right.Length > 6 || vocabulary.ContainsKey(left + right))
                continue;
            vocabulary[left + right] = vocabulary.Count;
            merges.Add((JsonNode)$"{left} {right}");
            pieces.Add(left + right);
        }

        model["merges"] = merges;
    }
}
