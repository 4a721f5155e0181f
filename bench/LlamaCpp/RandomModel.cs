using System.Runtime.InteropServices;
using System.Text.Json;
using Eigengate.Safetensors;

namespace Eigengate.LlamaCpp;

/// <summary>
/// One model of random bfloat16 weights in two forms: a Hugging Face folder for the engine, and the same numbers in GGUF for
/// llama.cpp, with LoRA adapters in GGUF beside it.
/// </summary>
internal sealed class RandomModel
{
    public const int LoraRank = 16;
    private readonly ModelShape _shape;
    private readonly Random _random = new(1);
    private readonly SafetensorsWriter _weights = new();
    private readonly GgufWriter _gguf = new();

    private RandomModel(ModelShape shape, string folder)
    {
        _shape = shape;
        Folder = folder;
    }

    public string Folder { get; }

    public string GgufPath => Path.Combine(Folder, "model.gguf");

    public string LoraPath(int index) => Path.Combine(Folder, $"lora-{index}.gguf");

    /// <summary>Writes the files unless the folder has them.</summary>
    public static RandomModel Create(ModelShape shape, string folder, int adapters)
    {
        var model = new RandomModel(shape, folder);
        Directory.CreateDirectory(folder);
        string complete = Path.Combine(folder, "complete");
        if (File.Exists(complete))
            return model;
        model.WriteConfig();
        model.WriteWeights();
        for (int i = 0; i < adapters; i++)
            model.WriteLora(i);
        File.WriteAllText(complete, "");
        return model;
    }

    private void WriteConfig()
    {
        File.WriteAllText(Path.Combine(Folder, "config.json"), JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["model_type"] = "llama",
            ["hidden_size"] = _shape.Hidden,
            ["intermediate_size"] = _shape.Intermediate,
            ["num_hidden_layers"] = _shape.Layers,
            ["num_attention_heads"] = _shape.Heads,
            ["num_key_value_heads"] = _shape.KvHeads,
            ["vocab_size"] = _shape.Vocabulary,
            ["max_position_embeddings"] = ModelShape.MaxPositions,
            ["rms_norm_eps"] = ModelShape.NormEpsilon,
            ["rope_theta"] = ModelShape.RopeTheta,
            ["tie_word_embeddings"] = _shape.Tied,
            ["bos_token_id"] = 1,
            ["eos_token_id"] = 2,
        }));
        string[] tokens = Tokens();
        File.WriteAllText(Path.Combine(Folder, "tokenizer.json"), JsonSerializer.Serialize(new
        {
            version = "1.0",
            added_tokens = Enumerable.Range(0, 3).Select(i => new
            {
                id = i,
                content = tokens[i],
                special = true,
                single_word = false,
                lstrip = false,
                rstrip = false,
                normalized = false,
            }),
            pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
            decoder = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
            model = new { type = "BPE", vocab = tokens.Select((t, i) => (t, i)).ToDictionary(p => p.t, p => p.i), merges = Array.Empty<string>() },
        }));
        File.WriteAllText(
            Path.Combine(Folder, "tokenizer_config.json"), JsonSerializer.Serialize(new { bos_token = "<s>", eos_token = "</s>", add_bos_token = false }));
    }

    private void WriteWeights()
    {
        Metadata();
        Matrix("model.embed_tokens.weight", "token_embd.weight", _shape.Vocabulary, _shape.Hidden, deviation: 0.02);
        for (int i = 0; i < _shape.Layers; i++)
        {
            string layer = $"model.layers.{i}", block = $"blk.{i}";
            Ones($"{layer}.input_layernorm.weight", $"{block}.attn_norm.weight");
            Matrix($"{layer}.self_attn.q_proj.weight", $"{block}.attn_q.weight", _shape.Hidden, _shape.Hidden, heads: _shape.Heads);
            Matrix($"{layer}.self_attn.k_proj.weight", $"{block}.attn_k.weight", _shape.KvWidth, _shape.Hidden, heads: _shape.KvHeads);
            Matrix($"{layer}.self_attn.v_proj.weight", $"{block}.attn_v.weight", _shape.KvWidth, _shape.Hidden);
            Matrix($"{layer}.self_attn.o_proj.weight", $"{block}.attn_output.weight", _shape.Hidden, _shape.Hidden);
            Ones($"{layer}.post_attention_layernorm.weight", $"{block}.ffn_norm.weight");
            Matrix($"{layer}.mlp.gate_proj.weight", $"{block}.ffn_gate.weight", _shape.Intermediate, _shape.Hidden);
            Matrix($"{layer}.mlp.up_proj.weight", $"{block}.ffn_up.weight", _shape.Intermediate, _shape.Hidden);
            Matrix($"{layer}.mlp.down_proj.weight", $"{block}.ffn_down.weight", _shape.Hidden, _shape.Intermediate);
        }

        Ones("model.norm.weight", "output_norm.weight");
        if (!_shape.Tied)
            Matrix("lm_head.weight", "output.weight", _shape.Vocabulary, _shape.Hidden);
        _weights.Save(Path.Combine(Folder, "model.safetensors"));
        _gguf.Save(GgufPath);
    }

    private void Metadata()
    {
        string[] tokens = Tokens();
        _gguf.Add("general.architecture", "llama").Add("general.file_type", 32)
            .Add("llama.context_length", ModelShape.MaxPositions).Add("llama.embedding_length", _shape.Hidden)
            .Add("llama.block_count", _shape.Layers).Add("llama.feed_forward_length", _shape.Intermediate)
            .Add("llama.attention.head_count", _shape.Heads).Add("llama.attention.head_count_kv", _shape.KvHeads)
            .Add("llama.attention.layer_norm_rms_epsilon", ModelShape.NormEpsilon)
            .Add("llama.rope.dimension_count", _shape.HeadDim).Add("llama.rope.freq_base", ModelShape.RopeTheta)
            .Add("llama.vocab_size", _shape.Vocabulary)
            .Add("tokenizer.ggml.model", "llama").Add("tokenizer.ggml.tokens", tokens)
            .Add("tokenizer.ggml.scores", new float[tokens.Length])
            .Add("tokenizer.ggml.token_type", [.. tokens.Select((_, i) => i switch { 0 => 2, 1 or 2 => 3, < 259 => 6, _ => 1 })])
            .Add("tokenizer.ggml.bos_token_id", 1).Add("tokenizer.ggml.eos_token_id", 2).Add("tokenizer.ggml.unknown_token_id", 0);
    }

    private string[] Tokens() =>
        ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), .. Enumerable.Range(259, _shape.Vocabulary - 259).Select(i => $"w{i}")];

    private void WriteLora(int index)
    {
        GgufWriter lora = new GgufWriter().Add("general.type", "adapter").Add("general.architecture", "llama")
            .Add("adapter.type", "lora").Add("adapter.lora.alpha", (float)LoraRank);
        for (int i = 0; i < _shape.Layers; i++)
        {
            foreach (var (name, outputs) in new[] { ("attn_q", _shape.Hidden), ("attn_k", _shape.KvWidth), ("attn_v", _shape.KvWidth) })
            {
                lora.Tensor($"blk.{i}.{name}.weight.lora_a", [LoraRank, _shape.Hidden], Draw(LoraRank * (long)_shape.Hidden, 0.01));
                lora.Tensor($"blk.{i}.{name}.weight.lora_b", [outputs, LoraRank], Draw(outputs * (long)LoraRank, 0.01));
            }
        }

        lora.Save(LoraPath(index));
    }

    private void Ones(string name, string ggufName)
    {
        float[] values = new float[_shape.Hidden];
        Array.Fill(values, 1f);
        _weights.Add(name, values, [_shape.Hidden], DType.BF16);
        _gguf.Tensor(ggufName, [_shape.Hidden], values);
    }

    /// <param name="name">In the checkpoint.</param>
    /// <param name="ggufName">In GGUF.</param>
    /// <param name="outputs">Rows.</param>
    /// <param name="inputs">Columns.</param>
    /// <param name="deviation">Standard deviation; one over the square root of the inputs unless said otherwise.</param>
    /// <param name="heads">Heads that are rotated; llama.cpp rotates neighbours, so their rows change places.</param>
    private void Matrix(string name, string ggufName, int outputs, int inputs, double? deviation = null, int heads = 0)
    {
        byte[] bytes = Draw((long)outputs * inputs, deviation ?? (1 / Math.Sqrt(inputs)));
        _weights.AddRaw(name, DType.BF16, [outputs, inputs], bytes);
        _gguf.Tensor(ggufName, [outputs, inputs], heads == 0 ? bytes : Interleaved(bytes, heads, outputs / heads, inputs));
    }

    /// <summary>Row i + j · half of a head becomes row 2i + j.</summary>
    private static byte[] Interleaved(byte[] bytes, int heads, int headDim, int inputs)
    {
        byte[] moved = new byte[bytes.Length];
        int row = inputs * sizeof(ushort), half = headDim / 2;
        for (int head = 0; head < heads; head++)
        {
            for (int i = 0; i < headDim; i++)
            {
                int from = (head * headDim) + i, to = (head * headDim) + (2 * (i % half)) + (i / half);
                bytes.AsSpan(from * row, row).CopyTo(moved.AsSpan(to * row));
            }
        }

        return moved;
    }

    /// <summary>Uniform bfloat16 numbers of the given standard deviation.</summary>
    private byte[] Draw(long count, double deviation)
    {
        byte[] bytes = new byte[count * sizeof(ushort)];
        Span<ushort> values = MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan());
        float width = (float)(deviation * Math.Sqrt(12));
        for (int i = 0; i < values.Length; i++)
            values[i] = FloatConversion.ToBFloat16((_random.NextSingle() - 0.5f) * width);
        return bytes;
    }
}
