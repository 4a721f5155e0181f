using Eigengate.Inference.Models;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests;

/// <summary>
/// The slow obvious twin: a Llama forward pass in float64 loops over one contiguous sequence, straight from the
/// formulas. Shares nothing with the engine but the numbers of config.json.
/// </summary>
internal sealed class Float64Llama
{
    private readonly ModelConfig _config;
    private readonly Dictionary<string, double[]> _weights = new(StringComparer.Ordinal);

    public Float64Llama(TestModel model)
    {
        _config = model.Config;
        foreach (var (name, (values, _)) in model.Weights)
            _weights[name] = [.. values.Select(v => (double)v)];
    }

    public Float64Llama(string directory)
    {
        _config = ModelConfig.Load(directory);
        foreach (string path in Directory.GetFiles(directory, "*.safetensors"))
        {
            using SafetensorsFile file = SafetensorsFile.Open(path);
            foreach (string name in file.Tensors.Keys)
                _weights[name] = [.. file.ReadFloat32(name).Select(v => (double)v)];
        }
    }

    /// <summary>Adds a dense delta [out, in] to a module's weight.</summary>
    public Float64Llama Add(string module, double[] delta)
    {
        string name = $"{module}.weight";
        _weights[name] = [.. _weights[name].Zip(delta, (w, d) => w + d)];
        return this;
    }

    /// <summary>Logits at every position, [tokens][vocabulary].</summary>
    public float[][] Logits(int[] tokens)
    {
        int hidden = _config.HiddenSize;
        double[] embedding = _weights["model.embed_tokens.weight"];
        double[][] x = [.. tokens.Select(t => embedding[(t * hidden)..((t + 1) * hidden)])];
        for (int i = 0; i < _config.Layers; i++)
        {
            string layer = $"model.layers.{i}";
            x = Sum(x, Attention(layer, Norm(x, $"{layer}.input_layernorm.weight")));
            x = Sum(x, Mlp(layer, Norm(x, $"{layer}.post_attention_layernorm.weight")));
        }

        string head = _weights.ContainsKey("lm_head.weight") && _config.TiedEmbeddings != true ? "lm_head" : "model.embed_tokens";
        double[][] logits = Linear(head, Norm(x, "model.norm.weight"), _config.VocabularySize);
        return [.. logits.Select(row => row.Select(v => (float)v).ToArray())];
    }

    private double[][] Attention(string layer, double[][] x)
    {
        int width = _config.HeadDim, share = _config.Heads / _config.KvHeads;
        double[][] q = Linear($"{layer}.self_attn.q_proj", x, _config.QueryWidth);
        double[][] k = Linear($"{layer}.self_attn.k_proj", x, _config.KvWidth);
        double[][] v = Linear($"{layer}.self_attn.v_proj", x, _config.KvWidth);
        for (int position = 0; position < x.Length; position++)
        {
            Rotate(q[position], position);
            Rotate(k[position], position);
        }

        double[][] mixed = new double[x.Length][];
        for (int position = 0; position < x.Length; position++)
        {
            mixed[position] = new double[_config.QueryWidth];
            for (int head = 0; head < _config.Heads; head++)
            {
                int query = head * width, key = head / share * width;
                double[] scores = new double[position + 1];
                for (int p = 0; p <= position; p++)
                {
                    for (int i = 0; i < width; i++)
                        scores[p] += q[position][query + i] * k[p][key + i];
                    scores[p] /= Math.Sqrt(width);
                }

                double max = scores.Max(), sum = scores.Sum(s => Math.Exp(s - max));
                for (int p = 0; p <= position; p++)
                {
                    for (int i = 0; i < width; i++)
                        mixed[position][query + i] += Math.Exp(scores[p] - max) / sum * v[p][key + i];
                }
            }
        }

        return Linear($"{layer}.self_attn.o_proj", mixed, _config.HiddenSize);
    }

    private double[][] Mlp(string layer, double[][] x)
    {
        double[][] gate = Linear($"{layer}.mlp.gate_proj", x, _config.IntermediateSize);
        double[][] up = Linear($"{layer}.mlp.up_proj", x, _config.IntermediateSize);
        double[][] product = [.. gate.Zip(up, (g, u) => g.Zip(u, (a, b) => a / (1 + Math.Exp(-a)) * b).ToArray())];
        return Linear($"{layer}.mlp.down_proj", product, _config.HiddenSize);
    }

    private void Rotate(double[] heads, int position)
    {
        int width = _config.HeadDim, half = width / 2;
        double[] frequencies = _config.RopeScaling.Frequencies(width, _config.RopeTheta);
        for (int head = 0; head < heads.Length; head += width)
        {
            for (int i = 0; i < half; i++)
            {
                double cos = Math.Cos(position * frequencies[i]), sin = Math.Sin(position * frequencies[i]);
                double a = heads[head + i], b = heads[head + half + i];
                heads[head + i] = (a * cos) - (b * sin);
                heads[head + half + i] = (b * cos) + (a * sin);
            }
        }
    }

    private double[][] Norm(double[][] x, string name)
    {
        double[] weight = _weights[name];
        return [.. x.Select(row =>
        {
            double scale = 1 / Math.Sqrt(row.Average(v => v * v) + _config.NormEpsilon);
            return row.Select((v, i) => v * scale * weight[i]).ToArray();
        })];
    }

    private double[][] Linear(string module, double[][] x, int outputs)
    {
        double[] weight = _weights[$"{module}.weight"];
        return [.. x.Select(row =>
        {
            double[] y = new double[outputs];
            for (int o = 0; o < outputs; o++)
            {
                for (int i = 0; i < row.Length; i++)
                    y[o] += weight[(o * row.Length) + i] * row[i];
            }

            return y;
        })];
    }

    private static double[][] Sum(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (u, v) => u + v).ToArray())];
}
