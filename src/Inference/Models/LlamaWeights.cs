using Eigengate.Inference.Kernels;
using Eigengate.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Models;

/// <summary>Weights of one decoder layer; query, key and value share one matrix, gate and up another.</summary>
internal sealed record LlamaLayer(Tensor AttentionNorm, Matrix Qkv, Matrix Output, Tensor MlpNorm, Matrix GateUp, Matrix Down) : IDisposable
{
    public void Dispose()
    {
        AttentionNorm.Dispose();
        Qkv.Dispose();
        Output.Dispose();
        MlpNorm.Dispose();
        GateUp.Dispose();
        Down.Dispose();
    }
}

/// <summary>All weights of a Llama model in the engine's type and on its device. Norm weights stay float32.</summary>
internal sealed class LlamaWeights : IDisposable
{
    private readonly List<LlamaLayer> _layers = [];

    private LlamaWeights(Matrix embedding)
    {
        Embedding = embedding;
        Head = embedding;
        FinalNorm = null!;
    }

    /// <summary>[vocabulary, hidden]</summary>
    public Matrix Embedding { get; }

    public IReadOnlyList<LlamaLayer> Layers => _layers;

    public Tensor FinalNorm { get; private set; }

    /// <summary>[vocabulary, hidden]; the embedding itself when tied.</summary>
    public Matrix Head { get; private set; }

    /// <exception cref="InvalidModelException">A tensor is missing, has another shape, or is not part of this model.</exception>
    /// <exception cref="SafetensorsException">A file is truncated or malformed.</exception>
    public static LlamaWeights Load(string directory, ModelConfig config, ScalarType dtype, Device device)
    {
        using var checkpoint = new Checkpoint(directory);
        var reader = new WeightReader(checkpoint, dtype, device);
        int hidden = config.HiddenSize;
        var weights = new LlamaWeights(reader.Matrix(hidden, ("model.embed_tokens.weight", config.VocabularySize)));
        try
        {
            for (int i = 0; i < config.Layers; i++)
                weights._layers.Add(ReadLayer(reader, config, $"model.layers.{i}"));
            weights.FinalNorm = reader.Vector("model.norm.weight", hidden);
            if (config.TiedEmbeddings ?? !checkpoint.Contains("lm_head.weight"))
                checkpoint.Ignore("lm_head.weight");
            else
                weights.Head = reader.Matrix(hidden, ("lm_head.weight", config.VocabularySize));
            checkpoint.RefuseUnread();
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

    private static LlamaLayer ReadLayer(WeightReader reader, ModelConfig config, string prefix) => new(
        reader.Vector($"{prefix}.input_layernorm.weight", config.HiddenSize),
        reader.Matrix(
            config.HiddenSize,
            ($"{prefix}.self_attn.q_proj.weight", config.QueryWidth),
            ($"{prefix}.self_attn.k_proj.weight", config.KvWidth),
            ($"{prefix}.self_attn.v_proj.weight", config.KvWidth)),
        reader.Matrix(config.QueryWidth, ($"{prefix}.self_attn.o_proj.weight", config.HiddenSize)),
        reader.Vector($"{prefix}.post_attention_layernorm.weight", config.HiddenSize),
        reader.Matrix(
            config.HiddenSize,
            ($"{prefix}.mlp.gate_proj.weight", config.IntermediateSize),
            ($"{prefix}.mlp.up_proj.weight", config.IntermediateSize)),
        reader.Matrix(config.IntermediateSize, ($"{prefix}.mlp.down_proj.weight", config.HiddenSize)));
}

/// <summary>Moves tensors from a checkpoint to the device.</summary>
internal sealed unsafe class WeightReader(Checkpoint checkpoint, ScalarType dtype, Device device)
{
    /// <summary>A norm weight [width], float32.</summary>
    public Tensor Vector(string name, int width)
    {
        using var scope = torch.NewDisposeScope();
        return Read(name, width).to(ScalarType.Float32).to(device).DetachFromDisposeScope();
    }

    /// <summary>Stacks matrices [out_i, inputs] into one [Σ out_i, inputs].</summary>
    public Matrix Matrix(int inputs, params (string Name, int Out)[] parts)
    {
        using var scope = torch.NewDisposeScope();
        Tensor stacked = torch.empty(parts.Sum(p => (long)p.Out), inputs, dtype: dtype, device: device);
        long row = 0;
        foreach (var (name, outputs) in parts)
        {
            using var part = torch.NewDisposeScope();
            stacked.narrow(0, row, outputs).copy_(Read(name, outputs, inputs));
            row += outputs;
        }

        return new Matrix(stacked);
    }

    private Tensor Read(string name, params long[] shape)
    {
        var (file, entry) = checkpoint.Take(name, shape);
        Tensor tensor = torch.empty(shape, dtype: TorchType(entry.DType));
        Buffer.MemoryCopy((void*)file.Address(entry), TensorMemory.Address(tensor), entry.ByteLength, entry.ByteLength);
        return tensor;
    }

    private static ScalarType TorchType(DType type) => type switch
    {
        DType.F64 => ScalarType.Float64,
        DType.F16 => ScalarType.Float16,
        DType.BF16 => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };
}
