using Eigengate.Inference.Adapters;
using Eigengate.Inference.Kernels;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.Inference.Models;

/// <summary>Norm weights [head_dim] of query and key heads, float32.</summary>
internal sealed record HeadNorms(Tensor Query, Tensor Key) : IDisposable
{
    public void Dispose()
    {
        Query.Dispose();
        Key.Dispose();
    }
}

/// <summary>Weights of one decoder layer; query, key and value share one matrix, gate and up another.</summary>
/// <param name="HeadNorms">Null where heads are not normalized.</param>
internal sealed record DecoderLayer(
    Tensor AttentionNorm, LinearLayer Qkv, HeadNorms? HeadNorms, LinearLayer Output, Tensor MlpNorm, LinearLayer GateUp, LinearLayer Down) : IDisposable
{
    public void Dispose()
    {
        AttentionNorm.Dispose();
        Qkv.Dispose();
        HeadNorms?.Dispose();
        Output.Dispose();
        MlpNorm.Dispose();
        GateUp.Dispose();
        Down.Dispose();
    }
}

/// <summary>All weights of a decoder in the engine's type and on its device. Norm weights and biases stay float32.</summary>
internal sealed class DecoderWeights : IDisposable
{
    private readonly List<DecoderLayer> _layers = [];

    private DecoderWeights(Matrix embedding)
    {
        Embedding = embedding;
        Head = embedding;
        FinalNorm = null!;
    }

    /// <summary>[vocabulary, hidden]</summary>
    public Matrix Embedding { get; }

    public IReadOnlyList<DecoderLayer> Layers => _layers;

    public Tensor FinalNorm { get; private set; }

    /// <summary>[vocabulary, hidden]; the embedding itself when tied.</summary>
    public Matrix Head { get; private set; }

    /// <param name="merged">An adapter without cores to add to the weights; null for none.</param>
    /// <exception cref="InvalidModelException">A tensor is missing, has another shape, or is not part of this model.</exception>
    /// <exception cref="InvalidAdapterException">The adapter does not fit the model.</exception>
    /// <exception cref="SafetensorsException">A file is truncated or malformed.</exception>
    public static DecoderWeights Load(string directory, ModelConfig config, ScalarType dtype, Device device, AdapterWeights? merged = null)
    {
        using var checkpoint = new Checkpoint(directory);
        using var reader = new WeightReader(checkpoint, dtype, device);
        int hidden = config.HiddenSize;
        var weights = new DecoderWeights(reader.Matrix(hidden, ("model.embed_tokens.weight", config.VocabularySize)));
        try
        {
            for (int i = 0; i < config.Layers; i++)
                weights._layers.Add(ReadLayer(reader, config, $"model.layers.{i}"));
            weights.FinalNorm = reader.Vector(("model.norm.weight", hidden));
            if (config.TiedEmbeddings ?? !checkpoint.Contains("lm_head.weight"))
                checkpoint.Ignore("lm_head.weight");
            else
                weights.Head = reader.Matrix(hidden, ("lm_head.weight", config.VocabularySize));
            checkpoint.RefuseUnread();
            if (merged is not null)
                weights.Merge(merged, config);
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _layers.ForEach(layer => layer.Dispose());
        FinalNorm?.Dispose();
        if (!ReferenceEquals(Head, Embedding))
            Head.Dispose();
        Embedding.Dispose();
    }

    private void Merge(AdapterWeights adapter, ModelConfig config)
    {
        adapter.RequireFit(config);
        if (adapter.Cores.Count > 0)
            throw new InvalidAdapterException($"adapter '{adapter.Id}' has cores; only one that is all factors, gains and biases can be merged");
        foreach (string name in adapter.PrivateModules)
        {
            AdaptedModule module = AdaptedModule.Parse(name, config);
            DecoderLayer layer = _layers[module.Layer];
            LinearLayer linear = module.Site switch
            {
                Site.Qkv => layer.Qkv,
                Site.Output => layer.Output,
                Site.GateUp => layer.GateUp,
                _ => layer.Down,
            };
            linear.Merge(module.Column, module.DOut, adapter.Factors.GetValueOrDefault(name), adapter.Outputs.GetValueOrDefault(name));
        }
    }

    private static DecoderLayer ReadLayer(WeightReader reader, ModelConfig config, string layer)
    {
        int hidden = config.HiddenSize, query = config.QueryWidth, kv = config.KvWidth, mlp = config.IntermediateSize;
        string attention = $"{layer}.self_attn";
        return new DecoderLayer(
            reader.Vector(($"{layer}.input_layernorm.weight", hidden)),
            reader.Linear(hidden, config.QkvBias, ($"{attention}.q_proj", query), ($"{attention}.k_proj", kv), ($"{attention}.v_proj", kv)),
            config.HeadNorm
                ? new HeadNorms(reader.Vector(($"{attention}.q_norm.weight", config.HeadDim)), reader.Vector(($"{attention}.k_norm.weight", config.HeadDim)))
                : null,
            reader.Linear(query, config.OutputBias, ($"{attention}.o_proj", hidden)),
            reader.Vector(($"{layer}.post_attention_layernorm.weight", hidden)),
            reader.Linear(hidden, config.MlpBias, ($"{layer}.mlp.gate_proj", mlp), ($"{layer}.mlp.up_proj", mlp)),
            reader.Linear(mlp, config.MlpBias, ($"{layer}.mlp.down_proj", hidden)));
    }
}
