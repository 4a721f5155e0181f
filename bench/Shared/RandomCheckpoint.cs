using System.Text;
using System.Text.Json;
using Eigengate.Safetensors;

namespace Eigengate.Bench;

/// <summary>
/// Writes a model folder with random bfloat16 weights and a tokenizer of invented words, of any size, in little memory; the same bytes
/// every time.
/// </summary>
internal static class RandomCheckpoint
{
    private const int Block = 1 << 20;

    public static void Write(string folder, ModelShape shape)
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
            rms_norm_eps = ModelShape.NormEpsilon,
            rope_theta = ModelShape.RopeTheta,
            tie_word_embeddings = shape.Tied,
            bos_token_id = 1,
            eos_token_id = 2,
        }));
        WriteTokenizer(folder, shape.Vocabulary);
        WriteWeights(Path.Combine(folder, "model.safetensors"), shape);
    }

    private static void WriteWeights(string path, ModelShape shape)
    {
        long offset = 0;
        var header = new Dictionary<string, object>();
        foreach (var (name, rows, columns) in shape.Tensors)
        {
            long bytes = 2L * rows * columns;
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
            WriteTensor(file, random, (long)rows * columns, columns == 1 ? 1 : 0, columns == 1 ? 0.1 : 1 / Math.Sqrt(columns));
    }

    /// <summary>Large tensors repeat blocks of random numbers: what matters is their size and that no two rows are equal.</summary>
    private static void WriteTensor(FileStream file, Random random, long count, float mean, double deviation)
    {
        int length = (int)Math.Min(count, Block - 7);
        byte[] block = new byte[2 * length];
        float width = (float)(deviation * Math.Sqrt(12));
        for (int i = 0; i < length; i++)
            BitConverter.TryWriteBytes(block.AsSpan(2 * i), FloatConversion.ToBFloat16(mean + ((random.NextSingle() - 0.5f) * width)));
        for (long written = 0; written < count; written += length)
            file.Write(block, 0, (int)(2 * Math.Min(length, count - written)));
    }

    private static void WriteTokenizer(string folder, int vocabulary)
    {
        string[] tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(3, vocabulary - 3).Select(i => $"w{i}")];
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), JsonSerializer.Serialize(new
        {
            version = "1.0",
            added_tokens = Enumerable.Range(0, 3).Select(i => new { id = i, content = tokens[i], special = true, single_word = false, lstrip = false, rstrip = false, normalized = false }),
            pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
            decoder = new { type = "ByteLevel" },
            model = new { type = "BPE", vocab = tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id), merges = Array.Empty<string>() },
        }));
        File.WriteAllText(
            Path.Combine(folder, "tokenizer_config.json"), JsonSerializer.Serialize(new { bos_token = "<s>", eos_token = "</s>", add_bos_token = false }));
    }
}
