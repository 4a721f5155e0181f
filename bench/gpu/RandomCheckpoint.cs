using System.Text;
using System.Text.Json;

namespace Eigengate.Gpu;

/// <summary>Sizes of a Llama-like model.</summary>
internal sealed record Shape(string Name, int Hidden, int Intermediate, int Layers, int Heads, int KvHeads, int HeadDim, int Vocabulary, int Context)
{
    public static readonly Shape[] Known =
    [
        new("7B", 4096, 14336, 32, 32, 8, 128, 32000, 4096),
        new("1.1B", 2048, 5632, 22, 32, 4, 64, 32000, 2048),
        new("135M", 576, 1536, 30, 9, 3, 64, 49152, 2048),
        new("tiny", 48, 80, 2, 6, 2, 16, 160, 512),
    ];

    /// <summary>Bytes of the weights that one decode step reads, in bfloat16: all but the embedding table.</summary>
    public long StepBytes => 2 * (Tensors.Sum(t => t.Rows * t.Columns) - ((long)Vocabulary * Hidden));

    public IEnumerable<(string Name, long Rows, long Columns)> Tensors
    {
        get
        {
            yield return ("model.embed_tokens.weight", Vocabulary, Hidden);
            for (int i = 0; i < Layers; i++)
            {
                string layer = $"model.layers.{i}.";
                yield return (layer + "self_attn.q_proj.weight", Heads * HeadDim, Hidden);
                yield return (layer + "self_attn.k_proj.weight", KvHeads * HeadDim, Hidden);
                yield return (layer + "self_attn.v_proj.weight", KvHeads * HeadDim, Hidden);
                yield return (layer + "self_attn.o_proj.weight", Hidden, Heads * HeadDim);
                yield return (layer + "mlp.gate_proj.weight", Intermediate, Hidden);
                yield return (layer + "mlp.up_proj.weight", Intermediate, Hidden);
                yield return (layer + "mlp.down_proj.weight", Hidden, Intermediate);
                yield return (layer + "input_layernorm.weight", Hidden, 1);
                yield return (layer + "post_attention_layernorm.weight", Hidden, 1);
            }

            yield return ("model.norm.weight", Hidden, 1);
            yield return ("lm_head.weight", Vocabulary, Hidden);
        }
    }
}

/// <summary>Writes a model folder with random bfloat16 weights and a tokenizer of invented words, of any size, in little memory.</summary>
internal static class RandomCheckpoint
{
    private const int Block = 1 << 20;

    public static void Write(string folder, Shape shape)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(new
        {
            model_type = "llama",
            hidden_size = shape.Hidden,
            intermediate_size = shape.Intermediate,
            num_hidden_layers = shape.Layers,
            num_attention_heads = shape.Heads,
            num_key_value_heads = shape.KvHeads,
            head_dim = shape.HeadDim,
            vocab_size = shape.Vocabulary,
            max_position_embeddings = shape.Context,
            rms_norm_eps = 1e-5,
            rope_theta = 10000.0,
            tie_word_embeddings = false,
            bos_token_id = 0,
            eos_token_id = 1,
        }));
        WriteTokenizer(folder, shape.Vocabulary);
        WriteWeights(Path.Combine(folder, "model.safetensors"), shape);
    }

    private static void WriteWeights(string path, Shape shape)
    {
        long offset = 0;
        var header = new Dictionary<string, object>();
        foreach (var (name, rows, columns) in shape.Tensors)
        {
            long bytes = 2 * rows * columns;
            header[name] = new { dtype = "BF16", shape = columns == 1 ? new[] { rows } : [rows, columns], data_offsets = new[] { offset, offset + bytes } };
            offset += bytes;
        }

        byte[] json = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(header));
        byte[] padded = [.. json, .. Enumerable.Repeat((byte)' ', (8 - (json.Length % 8)) % 8)];
        using FileStream file = File.Create(path);
        file.Write(BitConverter.GetBytes((long)padded.Length));
        file.Write(padded);
        var random = new Random(1);
        foreach (var (_, rows, columns) in shape.Tensors)
            WriteTensor(file, random, rows * columns, columns == 1 ? 1 : 0, columns == 1 ? 0.1 : 1.5 / Math.Sqrt(columns));
    }

    /// <summary>Large tensors repeat blocks of random numbers: what matters is their size and that no two rows are equal.</summary>
    private static void WriteTensor(FileStream file, Random random, long count, float mean, double spread)
    {
        int length = (int)Math.Min(count, Block - 7);
        byte[] block = new byte[2 * length];
        for (int i = 0; i < length; i++)
        {
            float value = mean + (float)(spread * Math.Sqrt(3) * ((2 * random.NextDouble()) - 1));
            BitConverter.TryWriteBytes(block.AsSpan(2 * i), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        }

        for (long written = 0; written < count; written += length)
            file.Write(block, 0, (int)(2 * Math.Min(length, count - written)));
    }

    private static void WriteTokenizer(string folder, int vocabulary)
    {
        string[] tokens = ["<s>", "</s>", .. Enumerable.Range(2, vocabulary - 2).Select(i => $"w{i}")];
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), JsonSerializer.Serialize(new
        {
            version = "1.0",
            added_tokens = Enumerable.Range(0, 2).Select(i => new { id = i, content = tokens[i], special = true, single_word = false, lstrip = false, rstrip = false, normalized = false }),
            pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
            decoder = new { type = "ByteLevel" },
            model = new { type = "BPE", vocab = tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id), merges = Array.Empty<string>() },
        }));
    }
}
