using System.Text.Json;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests;

/// <summary>
/// The slow obvious twin: a decoder's forward pass in float64 loops over one contiguous sequence, straight from the
/// definitions of the four families. Reads config.json by itself and shares nothing with the engine.
/// </summary>
internal sealed class Float64Decoder
{
    private readonly JsonElement _config;
    private readonly Dictionary<string, double[]> _weights = new(StringComparer.Ordinal);
    private readonly Dictionary<string, double[]> _deltas = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (float[]? BaseGain, float[]? DeltaGain, float[]? Bias)> _outputs = new(StringComparer.Ordinal);
    private readonly int _hidden;
    private readonly int _heads;
    private readonly int _kvHeads;
    private readonly int _headDim;
    private readonly Float64Rope _rope;

    public Float64Decoder(TestModel model)
        : this(ReadConfig(model.Directory))
    {
        foreach (var (name, (values, _)) in model.Weights)
            _weights[name] = [.. values.Select(v => (double)v)];
    }

    public Float64Decoder(string directory)
        : this(ReadConfig(directory))
    {
        foreach (string path in Directory.GetFiles(directory, "*.safetensors"))
        {
            using SafetensorsFile file = SafetensorsFile.Open(path);
            foreach (string name in file.Tensors.Keys)
                _weights[name] = [.. file.ReadFloat32(name).Select(v => (double)v)];
        }
    }

    private Float64Decoder(JsonElement config)
    {
        _config = config;
        _hidden = Int("hidden_size")!.Value;
        _heads = Int("num_attention_heads")!.Value;
        _kvHeads = Int("num_key_value_heads") ?? _heads;
        _headDim = Int("head_dim") ?? (_hidden / _heads);
        _rope = new Float64Rope(config, _headDim);
    }

    private string Family => _config.GetProperty("model_type").GetString()!;

    /// <summary>Adds a dense delta [out, in] to a module's weight.</summary>
    public Float64Decoder Add(string module, double[] delta)
    {
        _deltas[module] = _deltas.TryGetValue(module, out double[]? other) ? [.. other.Zip(delta, (a, b) => a + b)] : delta;
        return this;
    }

    /// <summary>Gives a module gains and a bias (spec/adapters.md §0).</summary>
    public Float64Decoder SetOutputs(string module, float[]? baseGain, float[]? deltaGain, float[]? bias)
    {
        _outputs[module] = (baseGain, deltaGain, bias);
        return this;
    }

    /// <summary>Logits at every position, [tokens][vocabulary].</summary>
    public float[][] Logits(int[] tokens)
    {
        double[] embedding = _weights["model.embed_tokens.weight"];
        double[][] x = [.. tokens.Select(t => embedding[(t * _hidden)..((t + 1) * _hidden)])];
        for (int i = 0; i < Int("num_hidden_layers"); i++)
        {
            string layer = $"model.layers.{i}";
            x = Sum(x, Attention(layer, i, Norm(x, $"{layer}.input_layernorm.weight")));
            x = Sum(x, Mlp(layer, Norm(x, $"{layer}.post_attention_layernorm.weight")));
        }

        bool tied = Flag("tie_word_embeddings") || !_weights.ContainsKey("lm_head.weight");
        double[][] logits = Linear(tied ? "model.embed_tokens" : "lm_head", Norm(x, "model.norm.weight"), bias: false);
        return [.. logits.Select(row => row.Select(v => (float)v).ToArray())];
    }

    private double[][] Attention(string layer, int index, double[][] x)
    {
        bool optionalBias = Family is "llama" or "qwen3" && Flag("attention_bias");
        bool qkvBias = Family == "qwen2" || optionalBias;
        double[][] q = Linear($"{layer}.self_attn.q_proj", x, qkvBias);
        double[][] k = Linear($"{layer}.self_attn.k_proj", x, qkvBias);
        double[][] v = Linear($"{layer}.self_attn.v_proj", x, qkvBias);
        if (Family == "qwen3")
        {
            q = NormHeads(q, $"{layer}.self_attn.q_norm.weight");
            k = NormHeads(k, $"{layer}.self_attn.k_norm.weight");
        }

        for (int position = 0; position < x.Length; position++)
        {
            _rope.Rotate(q[position], position);
            _rope.Rotate(k[position], position);
        }

        double[][] mixed = [.. x.Select((_, position) => Mix(position, Window(index), q[position], k, v))];
        return Linear($"{layer}.self_attn.o_proj", mixed, optionalBias);
    }

    /// <summary>Softmax attention of one position over itself and the window − 1 positions before it.</summary>
    private double[] Mix(int position, int? window, double[] q, double[][] k, double[][] v)
    {
        double[] mixed = new double[_heads * _headDim];
        int[] visible = [.. Enumerable.Range(0, position + 1).Where(p => window is null || position - p < window)];
        for (int head = 0; head < _heads; head++)
        {
            int query = head * _headDim, key = head / (_heads / _kvHeads) * _headDim;
            double[] scores = [.. visible.Select(p => Enumerable.Range(0, _headDim).Sum(i => q[query + i] * k[p][key + i]) / Math.Sqrt(_headDim))];
            double[] weights = [.. scores.Select(s => Math.Exp(s - scores.Max()))];
            double sum = weights.Sum();
            for (int i = 0; i < _headDim; i++)
                mixed[query + i] = visible.Select((p, n) => weights[n] / sum * v[p][key + i]).Sum();
        }

        return mixed;
    }

    private int? Window(int layer)
    {
        int? width = Int("sliding_window");
        switch (Family)
        {
            case "mistral":
                return width;
            case "qwen2" or "qwen3" when Flag("use_sliding_window"):
                if (_config.TryGetProperty("layer_types", out JsonElement types))
                    return types[layer].GetString() == "sliding_attention" ? width : null;
                return layer >= Int("max_window_layers") ? width : null;
            default:
                return null;
        }
    }

    private double[][] Mlp(string layer, double[][] x)
    {
        bool bias = Family == "llama" && Flag("mlp_bias");
        double[][] gate = Linear($"{layer}.mlp.gate_proj", x, bias);
        double[][] up = Linear($"{layer}.mlp.up_proj", x, bias);
        double[][] product = [.. gate.Zip(up, (g, u) => g.Zip(u, (a, b) => a / (1 + Math.Exp(-a)) * b).ToArray())];
        return Linear($"{layer}.mlp.down_proj", product, bias);
    }

    private double[][] Norm(double[][] x, string name)
    {
        double epsilon = _config.GetProperty("rms_norm_eps").GetDouble();
        double[] weight = _weights[name];
        return [.. x.Select(row =>
        {
            double scale = 1 / Math.Sqrt(row.Average(v => v * v) + epsilon);
            return row.Select((v, i) => v * scale * weight[i]).ToArray();
        })];
    }

    private double[][] NormHeads(double[][] rows, string name) =>
        [.. rows.Select(row => Norm([.. row.Chunk(_headDim)], name).SelectMany(head => head).ToArray())];

    private double[][] Linear(string module, double[][] x, bool bias)
    {
        int inputs = x[0].Length;
        double[] weight = Weight(module, inputs);
        int outputs = weight.Length / inputs;
        double[] offset = bias ? _weights[$"{module}.bias"] : new double[outputs];
        if (_outputs.GetValueOrDefault(module).Bias is { } shift)
            offset = [.. offset.Zip(shift, (b, d) => b + d)];
        return [.. x.Select(row =>
        {
            double[] y = [.. offset];
            for (int o = 0; o < outputs; o++)
            {
                for (int i = 0; i < inputs; i++)
                    y[o] += weight[(o * inputs) + i] * row[i];
            }

            return y;
        })];
    }

    /// <summary>gb ⊙ W + gd ⊙ ΔW</summary>
    private double[] Weight(string module, int inputs)
    {
        double[] weight = _weights[$"{module}.weight"];
        var (baseGain, deltaGain, _) = _outputs.GetValueOrDefault(module);
        if (baseGain is not null)
            weight = [.. weight.Select((w, i) => w * baseGain[i / inputs])];
        if (!_deltas.TryGetValue(module, out double[]? delta))
            return weight;
        return [.. weight.Zip(delta.Select((d, i) => d * (deltaGain?[i / inputs] ?? 1)), (w, d) => w + d)];
    }

    private static double[][] Sum(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (u, v) => u + v).ToArray())];

    private static JsonElement ReadConfig(string directory) =>
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(directory, "config.json"))).RootElement;

    private int? Int(string name) =>
        _config.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetInt32() : null;

    private bool Flag(string name) => _config.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.True;
}
