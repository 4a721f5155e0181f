using Eigengate.Inference.Adapters;
using Eigengate.Inference.Kernels;
using Eigengate.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Models;

/// <summary>A linear layer of the base model.</summary>
/// <param name="bias">[out], float32; null when the layer has none.</param>
internal sealed class LinearLayer(Matrix weight, Tensor? bias) : IDisposable
{
    public Matrix Weight { get; } = weight;

    public Tensor? Bias { get; private set; } = bias;

    /// <summary>Adds an adapter to the rows of one module: W ← gb ⊙ W + gd ⊙ s B A, b ← b + db, rounded once.</summary>
    /// <param name="row">First row of the module.</param>
    /// <param name="rows">Its output width.</param>
    public void Merge(int row, int rows, LoraFactors? factors, OutputVectors? outputs)
    {
        using var scope = torch.NewDisposeScope();
        Device device = Weight.Weight.device;
        Tensor target = Weight.Weight.narrow(0, row, rows), sum = target.to(ScalarType.Float32, copy: true);
        if (outputs?.BaseGain is { } gain)
            sum.mul_(Column(gain));
        if (factors is not null)
        {
            float[] scaled = [.. factors.B.Select((b, i) => b * factors.Scale * (outputs?.DeltaGain?[i / factors.Rank] ?? 1))];
            sum.addmm_(Uploaded(scaled, rows, factors.Rank), Uploaded(factors.A, factors.Rank, factors.DIn));
        }

        target.copy_(sum);
        if (outputs?.Bias is not { } bias)
            return;
        Bias ??= TensorMemory.AllocateZeroed(ScalarType.Float32, device, Weight.Out);
        Bias.narrow(0, row, rows).add_(Uploaded(bias, rows));

        Tensor Column(float[] values) => Uploaded(values, values.Length, 1);

        Tensor Uploaded(float[] values, params long[] shape) 
        {
            Tensor uploaded = TensorMemory.Upload(values, ScalarType.Float32, device, shape);
            scope.Attach(uploaded);
            return uploaded;
        }
    }

    public void Dispose()
    {
        Weight.Dispose();
        Bias?.Dispose();
    }
}

/// <summary>Moves tensors from a checkpoint to the device, each straight into the memory where it stays.</summary>
internal sealed unsafe class WeightReader(Checkpoint checkpoint, ScalarType dtype, Device device) : IDisposable
{
    /// <summary>Numbers read at a time where their type changes or the device has memory of its own.</summary>
    private const long StagingLength = 1 << 21;

    /// <summary>Kept for the whole checkpoint: freed ones would leave holes between the weights.</summary>
    private readonly Dictionary<ScalarType, Tensor> _staging = [];

    /// <summary>Layers of one input stacked into one: weights [Σ out_i, inputs] and, where the layers have biases, [Σ out_i].</summary>
    /// <param name="layers">Module path and output width of each.</param>
    public LinearLayer Linear(int inputs, bool bias, params (string Name, int Out)[] layers) => new(
        Matrix(inputs, [.. layers.Select(layer => ($"{layer.Name}.weight", layer.Out))]),
        bias ? Vector([.. layers.Select(layer => ($"{layer.Name}.bias", layer.Out))]) : null);

    /// <summary>Stacks matrices [out_i, inputs] into one [Σ out_i, inputs].</summary>
    public Matrix Matrix(int inputs, params (string Name, int Out)[] parts)
    {
        Tensor stacked = TensorMemory.Allocate(dtype, device, parts.Sum(p => (long)p.Out), inputs);
        Fill(stacked, parts, [inputs]);
        return new Matrix(stacked);
    }

    /// <summary>Norm weights or biases [width_i] in one [Σ width_i], float32.</summary>
    public Tensor Vector(params (string Name, int Width)[] parts)
    {
        Tensor joined = TensorMemory.Allocate(ScalarType.Float32, device, parts.Sum(p => (long)p.Width));
        Fill(joined, parts, []);
        return joined;
    }

    public void Dispose()
    {
        foreach (Tensor staging in _staging.Values)
            staging.Dispose();
    }

    private void Fill(Tensor target, (string Name, int Rows)[] parts, long[] rowShape)
    {
        try
        {
            long row = 0;
            foreach (var (name, rows) in parts)
            {
                using Tensor part = target.narrow(0, row, rows), flat = part.view(-1);
                Copy(checkpoint.Take(name, [rows, .. rowShape]), flat);
                row += rows;
            }
        }
        catch
        {
            target.Dispose();
            throw;
        }
    }

    private void Copy(StoredTensor source, Tensor target)
    {
        ScalarType type = TorchType(source.Entry.DType);
        if (type == target.dtype && target.device_type == DeviceType.CPU)
        {
            source.Read(0, TensorMemory.Address(target), source.Entry.ByteLength);
            return;
        }

        if (!_staging.TryGetValue(type, out Tensor? staging))
            _staging[type] = staging = TensorMemory.Allocate(type, CPU, StagingLength);
        int size = source.Entry.DType.Size();
        for (long first = 0; first < source.Entry.Count; first += StagingLength)
        {
            long count = Math.Min(source.Entry.Count - first, StagingLength);
            source.Read(first * size, TensorMemory.Address(staging), count * size);
            using Tensor read = staging.narrow(0, 0, count), written = target.narrow(0, first, count);
            written.copy_(read);
        }
    }

    private static ScalarType TorchType(DType type) => type switch
    {
        DType.F64 => ScalarType.Float64,
        DType.F16 => ScalarType.Float16,
        DType.BF16 => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };
}
