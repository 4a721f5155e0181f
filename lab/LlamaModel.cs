using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.Lab;

/// <summary>A Llama decoder written for training: whole sequences, no cache, weights under their Hugging Face names.</summary>
public sealed class LlamaModel : IDisposable
{
    private const string Embedding = "model.embed_tokens.weight";
    private readonly SortedDictionary<string, Tensor> _weights = new(StringComparer.Ordinal);
    private readonly Tensor _cos, _sin;

    /// <summary>Random weights from torch's current seed.</summary>
    public LlamaModel(LlamaConfig config)
    {
        Config = config;
        (int d, int f, int kv) = (config.HiddenSize, config.IntermediateSize, config.KeyValueHeads * config.HeadSize);
        double residual = 1 / Math.Sqrt(2 * config.Layers);
        Add(Embedding, 0.02 * randn(config.VocabularySize, d));
        Add("model.norm.weight", ones(d));
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string prefix = Prefix(layer);
            Add(prefix + "input_layernorm.weight", ones(d));
            Add(prefix + "post_attention_layernorm.weight", ones(d));
            AddLinear(prefix + "self_attn.q_proj", config.Heads * config.HeadSize, d);
            AddLinear(prefix + "self_attn.k_proj", kv, d);
            AddLinear(prefix + "self_attn.v_proj", kv, d);
            AddLinear(prefix + "self_attn.o_proj", d, config.Heads * config.HeadSize, residual);
            AddLinear(prefix + "mlp.gate_proj", f, d);
            AddLinear(prefix + "mlp.up_proj", f, d);
            AddLinear(prefix + "mlp.down_proj", d, f, residual);
        }

        using Tensor angles = outer(arange(config.MaxPositions, float32), pow(config.RopeTheta, -arange(0, config.HeadSize, 2, float32) / config.HeadSize));
        using Tensor both = cat([angles, angles], -1);
        (_cos, _sin) = (both.cos(), both.sin());
    }

    public LlamaConfig Config { get; }

    public IReadOnlyDictionary<string, Tensor> Weights => _weights;

    public static LlamaModel Load(string path, LlamaConfig config)
    {
        var model = new LlamaModel(config);
        using SafetensorsFile file = SafetensorsFile.Open(path);
        foreach (var (name, weight) in model._weights)
            TensorFiles.CopyInto(weight, file, name);
        return model;
    }

    public void Save(string path)
    {
        var writer = new SafetensorsWriter().Metadata("format", "pt");
        foreach (var (name, weight) in _weights)
            TensorFiles.Add(writer, name, weight);
        writer.Save(path);
    }

    /// <summary>Stops gradients of the base, so that only adapters are trained.</summary>
    public void Freeze()
    {
        foreach (Tensor weight in _weights.Values)
            weight.requires_grad = false;
    }

    /// <summary>Logits [n, vocabulary] at the n flat positions asked for.</summary>
    /// <param name="tokens">[rows, length], padded at the end.</param>
    /// <param name="positions">[n] indices into the flattened tokens.</param>
    /// <param name="lora">Adapters for equal consecutive shares of the rows, or none.</param>
    public Tensor Forward(Tensor tokens, Tensor positions, StackedLora? lora = null)
    {
        long rows = tokens.shape[0], length = tokens.shape[1];
        Tensor x = _weights[Embedding].index_select(0, tokens.reshape(-1)).reshape(rows, length, -1);
        for (int layer = 0; layer < Config.Layers; layer++)
        {
            string prefix = Prefix(layer);
            x = x + Attention(Norm(x, prefix + "input_layernorm"), prefix, lora);
            x = x + FeedForward(Norm(x, prefix + "post_attention_layernorm"), prefix);
        }

        Tensor chosen = x.reshape(rows * length, -1).index_select(0, positions);
        return nn.functional.linear(Norm(chosen, "model.norm"), _weights[Embedding]);
    }

    public void Dispose()
    {
        foreach (Tensor weight in _weights.Values)
            weight.Dispose();
        _cos.Dispose();
        _sin.Dispose();
    }

    private static string Prefix(int layer) => $"model.layers.{layer}.";

    private Tensor Attention(Tensor x, string prefix, StackedLora? lora)
    {
        Tensor q = Rotate(Heads(x, prefix + "self_attn.q_proj", Config.Heads, lora));
        Tensor k = Repeat(Rotate(Heads(x, prefix + "self_attn.k_proj", Config.KeyValueHeads, lora)));
        Tensor v = Repeat(Heads(x, prefix + "self_attn.v_proj", Config.KeyValueHeads, lora));
        Tensor mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_casual: true);
        return Linear(mixed.transpose(1, 2).reshape(x.shape[0], x.shape[1], -1), prefix + "self_attn.o_proj");
    }

    private Tensor FeedForward(Tensor x, string prefix) =>
        Linear(nn.functional.silu(Linear(x, prefix + "mlp.gate_proj")) * Linear(x, prefix + "mlp.up_proj"), prefix + "mlp.down_proj");

    /// <summary>[rows, length, d] to [rows, heads, length, head size].</summary>
    private Tensor Heads(Tensor x, string module, int heads, StackedLora? lora)
    {
        Tensor y = Linear(x, module);
        if (lora is not null)
            y = y + lora.Delta(x, module);
        return y.reshape(x.shape[0], x.shape[1], heads, Config.HeadSize).transpose(1, 2);
    }

    /// <summary>Each key-value head serves a group of query heads: [rows, kv heads, ...] to [rows, heads, ...].</summary>
    private Tensor Repeat(Tensor x)
    {
        int group = Config.Heads / Config.KeyValueHeads;
        return x.unsqueeze(2).expand(x.shape[0], x.shape[1], group, x.shape[2], x.shape[3]).reshape(x.shape[0], Config.Heads, x.shape[2], x.shape[3]);
    }

    private Tensor Rotate(Tensor x)
    {
        long length = x.shape[2], half = Config.HeadSize / 2;
        Tensor turned = cat([-x.narrow(3, half, half), x.narrow(3, 0, half)], -1);
        return x * _cos.narrow(0, 0, length) + turned * _sin.narrow(0, 0, length);
    }

    private Tensor Norm(Tensor x, string name) =>
        x * rsqrt(x.square().mean([-1], keepdim: true) + Config.NormEpsilon) * _weights[name + ".weight"];

    private Tensor Linear(Tensor x, string module) => nn.functional.linear(x, _weights[module + ".weight"]);

    private void AddLinear(string module, int outputs, int inputs, double gain = 1) =>
        Add(module + ".weight", gain / Math.Sqrt(inputs) * randn(outputs, inputs));

    private void Add(string name, Tensor weight) => _weights.Add(name, weight.requires_grad_(true));
}
