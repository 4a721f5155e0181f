using System.Text.Json;
using System.Text.Json.Nodes;
using Eigengate.Inference.Models;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests;

/// <summary>A small random checkpoint of any family on disk, with a tokenizer of one invented word a token. A real model, just untrained.</summary>
internal sealed class TestModel : IDisposable
{
    private readonly JsonObject _config;
    private readonly string _family;
    private readonly bool _attentionBias;
    private readonly bool _mlpBias;

    public TestModel(
        int hidden = 32,
        int intermediate = 48,
        int layers = 2,
        int heads = 4,
        int kvHeads = 2,
        int? headDim = null,
        int vocabulary = 96,
        int context = 256,
        bool tied = false,
        DType dtype = DType.F32,
        int seed = 1,
        string family = "llama",
        bool attentionBias = false,
        bool mlpBias = false)
    {
        _family = family;
        _attentionBias = attentionBias;
        _mlpBias = mlpBias;
        Directory = System.IO.Directory.CreateTempSubdirectory("eigengate-model-").FullName;
        DType = dtype;
        _config = new JsonObject
        {
            ["model_type"] = family,
            ["hidden_size"] = hidden,
            ["intermediate_size"] = intermediate,
            ["num_hidden_layers"] = layers,
            ["num_attention_heads"] = heads,
            ["num_key_value_heads"] = kvHeads,
            ["vocab_size"] = vocabulary,
            ["max_position_embeddings"] = context,
            ["rms_norm_eps"] = 1e-5,
            ["rope_theta"] = 10000.0,
            ["tie_word_embeddings"] = tied,
            ["bos_token_id"] = 0,
            ["eos_token_id"] = 1,
        };
        if (headDim is { } width)
            _config["head_dim"] = width;
        if (attentionBias)
            _config["attention_bias"] = true;
        if (mlpBias)
            _config["mlp_bias"] = true;
        if (family == "mistral")
            _config["sliding_window"] = null;
        SaveConfig();
        WriteTokenizer(vocabulary);
        Fill(new Random(seed));
        SaveWeights();
    }

    public string Directory { get; }

    public DType DType { get; }

    public ModelConfig Config => ModelConfig.Load(Directory);

    /// <summary>Tensor name to values and shape, before any rounding to the file's type.</summary>
    public Dictionary<string, (float[] Values, long[] Shape)> Weights { get; } = new(StringComparer.Ordinal);

    public string WeightsPath => Path.Combine(Directory, "model.safetensors");

    public TestModel With(string key, JsonNode? value)
    {
        _config[key] = value;
        SaveConfig();
        return this;
    }

    public void SaveWeights()
    {
        var writer = new SafetensorsWriter();
        foreach (var (name, (values, shape)) in Weights)
            writer.Add(name, values, shape, DType);
        writer.Save(WeightsPath);
    }

    /// <summary>Random token ids that avoid the special ones.</summary>
    public int[] Prompt(int length, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(2, Config.VocabularySize))];
    }

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);

    private void Fill(Random random)
    {
        ModelConfig config = Config;
        long hidden = config.HiddenSize, mlp = config.IntermediateSize;
        bool qkvBias = _family == "qwen2" || _attentionBias;
        Add(random, "model.embed_tokens.weight", 1, config.VocabularySize, hidden);
        for (int i = 0; i < config.Layers; i++)
        {
            string layer = $"model.layers.{i}";
            Add(random, $"{layer}.input_layernorm.weight", 1, hidden);
            AddLinear(random, $"{layer}.self_attn.q_proj", 2, config.QueryWidth, hidden, qkvBias);
            AddLinear(random, $"{layer}.self_attn.k_proj", 2, config.KvWidth, hidden, qkvBias);
            AddLinear(random, $"{layer}.self_attn.v_proj", 1, config.KvWidth, hidden, qkvBias);
            if (_family == "qwen3")
            {
                Add(random, $"{layer}.self_attn.q_norm.weight", 1, config.HeadDim);
                Add(random, $"{layer}.self_attn.k_norm.weight", 1, config.HeadDim);
            }

            AddLinear(random, $"{layer}.self_attn.o_proj", 1, hidden, config.QueryWidth, _attentionBias);
            Add(random, $"{layer}.post_attention_layernorm.weight", 1, hidden);
            AddLinear(random, $"{layer}.mlp.gate_proj", 1, mlp, hidden, _mlpBias);
            AddLinear(random, $"{layer}.mlp.up_proj", 1, mlp, hidden, _mlpBias);
            AddLinear(random, $"{layer}.mlp.down_proj", 1, hidden, mlp, _mlpBias);
        }

        Add(random, "model.norm.weight", 1, hidden);
        if (config.TiedEmbeddings != true)
            Add(random, "lm_head.weight", 3, config.VocabularySize, hidden);
    }

    private void AddLinear(Random random, string module, double gain, long outputs, long inputs, bool bias)
    {
        Add(random, $"{module}.weight", gain, outputs, inputs);
        if (bias)
            Add(random, $"{module}.bias", 3, outputs);
    }

    private void Add(Random random, string name, double gain, params long[] shape)
    {
        float[] values = new float[shape.Aggregate(1L, (a, b) => a * b)];
        double scale = gain * (shape.Length == 1 ? 0.2 : 1 / Math.Sqrt(shape[1]));
        for (int i = 0; i < values.Length; i++)
        {
            // Stored types hold exactly what the float64 reference sees.
            float value = (float)((name.EndsWith("norm.weight", StringComparison.Ordinal) ? 1 : 0) + (scale * Normal(random)));
            values[i] = DType == DType.F32 ? value : BitConverter.UInt32BitsToSingle((uint)FloatConversion.ToBFloat16(value) << 16);
        }

        Weights[name] = (values, shape);
    }

    internal static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private void SaveConfig() => File.WriteAllText(Path.Combine(Directory, "config.json"), _config.ToJsonString());

    private void WriteTokenizer(int vocabulary)
    {
        string[] tokens = ["<s>", "</s>", .. Enumerable.Range(2, vocabulary - 2).Select(i => $"w{i}")];
        var tokenizer = new
        {
            version = "1.0",
            added_tokens = Enumerable.Range(0, 2).Select(i => new
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
            model = new
            {
                type = "BPE",
                vocab = tokens.Select((t, i) => (t, i)).ToDictionary(p => p.t, p => p.i),
                merges = Array.Empty<string>(),
            },
        };
        File.WriteAllText(Path.Combine(Directory, "tokenizer.json"), JsonSerializer.Serialize(tokenizer));
        File.WriteAllText(
            Path.Combine(Directory, "tokenizer_config.json"),
            JsonSerializer.Serialize(new { bos_token = "<s>", eos_token = "</s>", add_bos_token = true }));
    }
}
