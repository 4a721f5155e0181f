using System.Runtime.InteropServices;
using Eigengate.Bench;
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
        string complete = Path.Combine(folder, "complete");
        if (File.Exists(complete))
            return model;
        RandomCheckpoint.Write(folder, shape);
        model.WriteGguf();
        for (int i = 0; i < adapters; i++)
            model.WriteLora(i);
        File.WriteAllText(complete, "");
        return model;
    }

    /// <summary>The checkpoint's numbers under llama.cpp's names.</summary>
    private void WriteGguf()
    {
        GgufWriter gguf = Metadata();
        using var checkpoint = SafetensorsFile.Open(Path.Combine(Folder, "model.safetensors"));
        foreach (var (name, rows, columns) in _shape.Tensors)
        {
            if (columns == 1)
                gguf.Tensor(GgufName(name), [rows], checkpoint.ReadFloat32(name));
            else
                gguf.Tensor(GgufName(name), [rows, columns], InRotatedOrder(name, checkpoint.Bytes(checkpoint.Entry(name)).ToArray(), columns));
        }

        gguf.Save(GgufPath);
    }

    private static string GgufName(string name)
    {
        string[] parts = name.Split('.');
        return name switch
        {
            "model.embed_tokens.weight" => "token_embd.weight",
            "model.norm.weight" => "output_norm.weight",
            "lm_head.weight" => "output.weight",
            _ => $"blk.{parts[2]}." + parts[^2] switch
            {
                "input_layernorm" => "attn_norm",
                "q_proj" => "attn_q",
                "k_proj" => "attn_k",
                "v_proj" => "attn_v",
                "o_proj" => "attn_output",
                "post_attention_layernorm" => "ffn_norm",
                "gate_proj" => "ffn_gate",
                "up_proj" => "ffn_up",
                "down_proj" => "ffn_down",
                string other => throw new InvalidOperationException($"'{other}' has no name in GGUF"),
            } + ".weight",
        };
    }

    /// <summary>llama.cpp rotates neighbours, so the rows of query and key heads change places.</summary>
    private byte[] InRotatedOrder(string name, byte[] bytes, int columns)
    {
        if (name.Contains(".q_proj.", StringComparison.Ordinal))
            return Interleaved(bytes, _shape.Heads, _shape.HeadDim, columns);
        return name.Contains(".k_proj.", StringComparison.Ordinal) ? Interleaved(bytes, _shape.KvHeads, _shape.HeadDim, columns) : bytes;
    }

    private GgufWriter Metadata()
    {
        string[] tokens =
            ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), .. Enumerable.Range(259, _shape.Vocabulary - 259).Select(i => $"w{i}")];
        return new GgufWriter().Add("general.architecture", "llama").Add("general.file_type", 32)
            .Add("llama.context_length", _shape.Context).Add("llama.embedding_length", _shape.Hidden)
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

    private void WriteLora(int index)
    {
        GgufWriter lora = new GgufWriter().Add("general.type", "adapter").Add("general.architecture", "llama")
            .Add("adapter.type", "lora").Add("adapter.lora.alpha", (float)LoraRank);
        for (int i = 0; i < _shape.Layers; i++)
        {
            foreach (var (name, outputs) in new[] { ("attn_q", _shape.QueryWidth), ("attn_k", _shape.KvWidth), ("attn_v", _shape.KvWidth) })
            {
                lora.Tensor($"blk.{i}.{name}.weight.lora_a", [LoraRank, _shape.Hidden], Draw(LoraRank * (long)_shape.Hidden, 0.01));
                lora.Tensor($"blk.{i}.{name}.weight.lora_b", [outputs, LoraRank], Draw(outputs * (long)LoraRank, 0.01));
            }
        }

        lora.Save(LoraPath(index));
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
