using System.Text.Json;
using Eigengate.Safetensors;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>The sizes of a Llama; its weights are random, since speed does not depend on them.</summary>
internal sealed record ModelShape(int Hidden, int Intermediate, int Layers, int Heads, int KvHeads, int Vocabulary, bool Tied)
{
    private const int Context = 2048;

    /// <summary>135 million parameters.</summary>
    public static ModelShape Small { get; } = new(576, 1536, 30, 9, 3, 49152, Tied: true);

    /// <summary>TinyLlama, 1.1 billion.</summary>
    public static ModelShape TinyLlama { get; } = new(2048, 5632, 22, 32, 4, 32000, Tied: false);

    private int KvWidth => Hidden / Heads * KvHeads;

    /// <summary>Writes config, bfloat16 weights and a tokenizer of invented words; the same bytes for the same seed.</summary>
    public void Write(string directory, int seed)
    {
        var random = new Random(seed);
        var weights = new SafetensorsWriter();
        Matrix("model.embed_tokens.weight", Vocabulary, Hidden);
        if (!Tied)
            Matrix("lm_head.weight", Vocabulary, Hidden);
        Norm("model.norm.weight");
        for (int layer = 0; layer < Layers; layer++)
        {
            string prefix = $"model.layers.{layer}";
            Norm($"{prefix}.input_layernorm.weight");
            Norm($"{prefix}.post_attention_layernorm.weight");
            Matrix($"{prefix}.self_attn.q_proj.weight", Hidden, Hidden);
            Matrix($"{prefix}.self_attn.k_proj.weight", KvWidth, Hidden);
            Matrix($"{prefix}.self_attn.v_proj.weight", KvWidth, Hidden);
            Matrix($"{prefix}.self_attn.o_proj.weight", Hidden, Hidden);
            Matrix($"{prefix}.mlp.gate_proj.weight", Intermediate, Hidden);
            Matrix($"{prefix}.mlp.up_proj.weight", Intermediate, Hidden);
            Matrix($"{prefix}.mlp.down_proj.weight", Hidden, Intermediate);
        }

        weights.Save(Path.Combine(directory, "model.safetensors"));
        WriteConfig(directory);
        WriteTokenizer(directory);

        void Matrix(string name, int rows, int columns) =>
            weights.Add(name, Values.Random(random, rows * columns, 1.7f / MathF.Sqrt(columns)), [rows, columns], DType.BF16);

        void Norm(string name)
        {
            float[] ones = new float[Hidden];
            Array.Fill(ones, 1);
            weights.Add(name, ones, [Hidden], DType.BF16);
        }
    }

    private void WriteConfig(string directory) => File.WriteAllText(Path.Combine(directory, "config.json"), JsonSerializer.Serialize(new
    {
        model_type = "llama",
        hidden_size = Hidden,
        intermediate_size = Intermediate,
        num_hidden_layers = Layers,
        num_attention_heads = Heads,
        num_key_value_heads = KvHeads,
        vocab_size = Vocabulary,
        max_position_embeddings = Context,
        rms_norm_eps = 1e-5,
        rope_theta = 10000.0,
        tie_word_embeddings = Tied,
        bos_token_id = 0,
        eos_token_id = 1,
    }));

    private void WriteTokenizer(string directory) => File.WriteAllText(Path.Combine(directory, "tokenizer.json"), JsonSerializer.Serialize(new
    {
        version = "1.0",
        pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
        decoder = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
        model = new { type = "BPE", vocab = Enumerable.Range(0, Vocabulary).ToDictionary(i => $"w{i}", i => i), merges = Array.Empty<string>() },
    }));
}
