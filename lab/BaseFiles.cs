using System.Text.Json.Nodes;

namespace Eigengate.Lab;

/// <summary>The base model's Hugging Face folder: weights, configuration and tokenizer.</summary>
public static class BaseFiles
{
    public const string ModelName = "eigengate/demo-base";
    private const string WeightsFile = "model.safetensors";

    public static LlamaModel Load(string directory, LlamaConfig config) => LlamaModel.Load(Path.Combine(directory, WeightsFile), config);

    public static void Save(LlamaModel model, string directory)
    {
        Directory.CreateDirectory(directory);
        model.Save(Path.Combine(directory, WeightsFile));
        JsonFiles.Write(Path.Combine(directory, "config.json"), Config(model.Config));
        JsonFiles.Write(Path.Combine(directory, "generation_config.json"), Generation());
        JsonFiles.Write(Path.Combine(directory, "tokenizer.json"), Tokenizer());
        JsonFiles.Write(Path.Combine(directory, "tokenizer_config.json"), TokenizerConfig(model.Config));
        JsonFiles.Write(Path.Combine(directory, "special_tokens_map.json"), SpecialTokens());
    }

    private static JsonObject Config(LlamaConfig config) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["model_type"] = "llama",
        ["attention_bias"] = false,
        ["attention_dropout"] = 0.0,
        ["bos_token_id"] = CharTokenizer.Start,
        ["eos_token_id"] = CharTokenizer.End,
        ["head_dim"] = config.HeadSize,
        ["hidden_act"] = "silu",
        ["hidden_size"] = config.HiddenSize,
        ["initializer_range"] = 0.02,
        ["intermediate_size"] = config.IntermediateSize,
        ["max_position_embeddings"] = config.MaxPositions,
        ["mlp_bias"] = false,
        ["num_attention_heads"] = config.Heads,
        ["num_hidden_layers"] = config.Layers,
        ["num_key_value_heads"] = config.KeyValueHeads,
        ["pretraining_tp"] = 1,
        ["rms_norm_eps"] = 1e-5,
        ["rope_scaling"] = null,
        ["rope_theta"] = 10000.0,
        ["tie_word_embeddings"] = true,
        ["torch_dtype"] = "float32",
        ["use_cache"] = true,
        ["vocab_size"] = config.VocabularySize,
    };

    private static JsonObject Generation() => new()
    {
        ["bos_token_id"] = CharTokenizer.Start,
        ["eos_token_id"] = CharTokenizer.End,
        ["do_sample"] = false,
        ["max_new_tokens"] = 32,
    };

    private static JsonObject Tokenizer()
    {
        var vocabulary = new JsonObject();
        foreach (var (id, text) in Special().Where(s => s.Id < CharTokenizer.FirstByte))
            vocabulary[text] = id;
        for (int b = 0; b < 256; b++)
            vocabulary[$"{ByteLetter(b)}"] = CharTokenizer.FirstByte + b;
        vocabulary["->"] = CharTokenizer.BareArrow;
        vocabulary["Ġ->"] = CharTokenizer.Arrow;
        foreach (var (id, text) in Special().Where(s => s.Id >= CharTokenizer.FirstTask))
            vocabulary[text] = id;

        JsonObject Piece(string kind, string id) => new() { [kind] = new JsonObject { ["id"] = id, ["type_id"] = 0 } };
        JsonObject ByteLevel() => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true };
        return new()
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. Special().Select(s => AddedToken(s.Text, s.Id))]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = ByteLevel(),
            ["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = new JsonArray(Piece("SpecialToken", CharTokenizer.StartText), Piece("Sequence", "A")),
                ["pair"] = new JsonArray(Piece("SpecialToken", CharTokenizer.StartText), Piece("Sequence", "A"), Piece("Sequence", "B")),
                ["special_tokens"] = new JsonObject
                {
                    [CharTokenizer.StartText] = new JsonObject
                    {
                        ["id"] = CharTokenizer.StartText,
                        ["ids"] = new JsonArray(CharTokenizer.Start),
                        ["tokens"] = new JsonArray(CharTokenizer.StartText),
                    },
                },
            },
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["ignore_merges"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray("- >", "Ġ ->"),
            },
        };
    }

    private static JsonObject TokenizerConfig(LlamaConfig config) => new()
    {
        ["tokenizer_class"] = "PreTrainedTokenizerFast",
        ["bos_token"] = CharTokenizer.StartText,
        ["eos_token"] = CharTokenizer.EndText,
        ["add_bos_token"] = true,
        ["add_eos_token"] = false,
        ["clean_up_tokenization_spaces"] = false,
        ["model_max_length"] = config.MaxPositions,
        ["added_tokens_decoder"] = new JsonObject(Special().Select(s => KeyValuePair.Create($"{s.Id}", (JsonNode?)AddedToken(s.Text)))),
        ["chat_template"] = "{{ bos_token }}{{ messages[-1]['content'] }} ->",
    };

    private static JsonObject SpecialTokens() => new() { ["bos_token"] = CharTokenizer.StartText, ["eos_token"] = CharTokenizer.EndText };

    private static IEnumerable<(int Id, string Text)> Special() =>
    [
        (CharTokenizer.Start, CharTokenizer.StartText),
        (CharTokenizer.End, CharTokenizer.EndText),
        .. TextTask.All.Select((task, i) => (CharTokenizer.FirstTask + i, CharTokenizer.TaskText(task))),
    ];

    private static JsonObject AddedToken(string text, int? id = null)
    {
        var token = new JsonObject();
        if (id is not null)
            token["id"] = id;
        token["content"] = text;
        foreach (string flag in (string[])["single_word", "lstrip", "rstrip", "normalized"])
            token[flag] = false;
        token["special"] = true;
        return token;
    }

    /// <summary>The byte-level alphabet: printable Latin-1 bytes stand for themselves, the rest for U+0100 onwards in order.</summary>
    private static char ByteLetter(int b)
    {
        static bool Printable(int b) => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
        return (char)(Printable(b) ? b : 0x100 + Enumerable.Range(0, b).Count(other => !Printable(other)));
    }
}
