using System.Text.Json;
using Eigengate.Safetensors;

namespace Eigengate.ComputeNode.Tests.Support;

/// <summary>
/// A random Llama checkpoint with a byte-level tokenizer, in the files a real one has: 2 layers, hidden size 32, context 256,
/// one token per byte plus begin (256) and end (257).
/// </summary>
internal static class TinyModel
{
    public const int Layers = 2;
    public const int Hidden = 32;
    public const int Intermediate = 64;
    public const int KvWidth = 16;
    public const int Vocabulary = 258;
    public const int Begin = 256;
    public const int End = 257;
    public const int Context = 256;

    /// <summary>Module path below a layer, to its [out, in].</summary>
    public static readonly IReadOnlyDictionary<string, (int Out, int In)> Modules = new Dictionary<string, (int, int)>
    {
        ["self_attn.q_proj"] = (Hidden, Hidden),
        ["self_attn.k_proj"] = (KvWidth, Hidden),
        ["self_attn.v_proj"] = (KvWidth, Hidden),
        ["self_attn.o_proj"] = (Hidden, Hidden),
        ["mlp.gate_proj"] = (Intermediate, Hidden),
        ["mlp.up_proj"] = (Intermediate, Hidden),
        ["mlp.down_proj"] = (Hidden, Intermediate),
    };

    /// <summary>Writes the begin token itself and refuses a role, as real templates do.</summary>
    public const string ChatTemplate =
        "{{ bos_token }}{% for message in messages %}{% if message.role == 'villain' %}{{ raise_exception('Villains are not served.') }}{% endif %}" +
        "[{{ message.role }}]{{ message.content }}{% for call in message.tool_calls or [] %}({{ call.function.name }} {{ call.function.arguments.x }}){% endfor %}{% endfor %}" +
        "{% if tools %}[tools]{{ tools[0].function.name }}{% endif %}{% if tone %}[tone]{{ tone.lower() }}{% endif %}{% if add_generation_prompt %}[assistant]{% endif %}";

    public static string Write(string directory, int seed = 1)
    {
        Directory.CreateDirectory(directory);
        var random = new Random(seed);
        var weights = new SafetensorsWriter();
        weights.Add("model.embed_tokens.weight", Values(random, Vocabulary * Hidden, 1), [Vocabulary, Hidden]);
        weights.Add("lm_head.weight", Values(random, Vocabulary * Hidden, 0.5), [Vocabulary, Hidden]);
        weights.Add("model.norm.weight", Ones(), [Hidden]);
        for (int layer = 0; layer < Layers; layer++)
        {
            foreach (var (module, (output, input)) in Modules)
                weights.Add($"model.layers.{layer}.{module}.weight", Values(random, output * input, 1.5 / Math.Sqrt(input)), [output, input]);
            weights.Add($"model.layers.{layer}.input_layernorm.weight", Ones(), [Hidden]);
            weights.Add($"model.layers.{layer}.post_attention_layernorm.weight", Ones(), [Hidden]);
        }

        weights.Save(Path.Combine(directory, "model.safetensors"));
        File.WriteAllText(Path.Combine(directory, "config.json"), $$"""
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": {{Hidden}},
             "intermediate_size": {{Intermediate}}, "num_hidden_layers": {{Layers}}, "num_attention_heads": 4, "num_key_value_heads": 2,
             "max_position_embeddings": {{Context}}, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false,
             "vocab_size": {{Vocabulary}}, "bos_token_id": {{Begin}}, "eos_token_id": {{End}}, "torch_dtype": "float32"}
            """);
        File.WriteAllText(Path.Combine(directory, "tokenizer_config.json"), JsonSerializer.Serialize(new { bos_token = "<begin>", eos_token = "<end>", chat_template = ChatTemplate }));
        File.WriteAllText(Path.Combine(directory, "tokenizer.json"), TokenizerJson());
        return directory;
    }

    /// <summary>A PEFT LoRA folder for this model that changes the output visibly.</summary>
    public static string WriteAdapter(string directory, int seed, int rank = 2, double strength = 1)
    {
        Directory.CreateDirectory(directory);
        var random = new Random(seed);
        var weights = new SafetensorsWriter();
        string[] targets = ["self_attn.q_proj", "self_attn.v_proj"];
        for (int layer = 0; layer < Layers; layer++)
        {
            foreach (string module in targets)
            {
                var (output, input) = Modules[module];
                string name = $"base_model.model.model.layers.{layer}.{module}";
                weights.Add($"{name}.lora_A.weight", Values(random, rank * input, strength / Math.Sqrt(input)), [rank, input]);
                weights.Add($"{name}.lora_B.weight", Values(random, output * rank, strength), [output, rank]);
            }
        }

        weights.Save(Path.Combine(directory, "adapter_model.safetensors"));
        File.WriteAllText(Path.Combine(directory, "adapter_config.json"), $$"""
            {"peft_type": "LORA", "r": {{rank}}, "lora_alpha": {{2 * rank}}, "target_modules": ["q_proj", "v_proj"], "bias": "none",
             "task_type": "CAUSAL_LM", "lora_dropout": 0.0, "fan_in_fan_out": false, "base_model_name_or_path": "tiny"}
            """);
        return directory;
    }

    private static string TokenizerJson()
    {
        var vocabulary = new Dictionary<string, int>();
        int shifted = 0;
        for (int value = 0; value < 256; value++)
        {
            // GPT-2's alphabet: bytes that are no visible Latin-1 character are moved above U+0100.
            bool visible = value is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
            vocabulary[((char)(visible ? value : 256 + shifted++)).ToString()] = value;
        }

        object[] added =
        [
            new { id = Begin, content = "<begin>", special = true },
            new { id = End, content = "<end>", special = true },
        ];
        return JsonSerializer.Serialize(new
        {
            added_tokens = added,
            pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, use_regex = true },
            decoder = new { type = "ByteLevel" },
            model = new { type = "BPE", vocab = vocabulary, merges = Array.Empty<string>() },
        });
    }

    private static float[] Values(Random random, int count, double scale) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) * 2 * scale))];

    private static float[] Ones() => [.. Enumerable.Repeat(1f, Hidden)];
}
