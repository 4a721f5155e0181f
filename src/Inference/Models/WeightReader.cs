using Eigengate.Inference.Kernels;
using Eigengate.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Models;

/// <summary>A linear layer of the base model.</summary>
/// <param name="Bias">[out], float32; null when the layer has none.</param>
internal sealed record LinearLayer(Matrix Weight, Tensor? Bias) : IDisposable
{
    public void Dispose()
    {
        Weight.Dispose();
        Bias?.Dispose();
    }
}

/// <summary>Moves tensors from a checkpoint to the device, each straight into the memory where it stays.</summary>
internal sealed unsafe class WeightReader(Checkpoint checkpoint, ScalarType dtype, Device device)
{
    /// <summary>Bytes read at a time where a number type changes or the device has memory of its own.</summary>
    private const long StagingBytes = 8 << 20;

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

    private void Fill(Tensor target, (string Name, int Rows)[] parts, long[] rowShape)
    {
        try
        {
            long row = 0;
            foreach (var (name, rows) in parts)
            {
                using Tensor part = target.narrow(0, row, rows);
                Copy(checkpoint.Take(name, [rows, .. rowShape]), part);
                row += rows;
            }
        }
        catch
        {
            target.Dispose();
            throw;
        }
    }

    private static void Copy(StoredTensor source, Tensor target)
    {
        ScalarType type = TorchType(source.Entry.DType);
        if (type == target.dtype && target.device_type == DeviceType.CPU)
        {
            source.Read(0, TensorMemory.Address(target), source.Entry.ByteLength);
            return;
        }

        long[] shape = source.Entry.Shape;
        long rowBytes = source.Entry.ByteLength / shape[0], atOnce = Math.Clamp(StagingBytes / rowBytes, 1, shape[0]);
        using Tensor staging = torch.empty([atOnce, .. shape[1..]], dtype: type);
        for (long row = 0; row < shape[0]; row += atOnce)
        {
            long rows = Math.Min(atOnce, shape[0] - row);
            source.Read(row * rowBytes, TensorMemory.Address(staging), rows * rowBytes);
            using Tensor read = staging.narrow(0, 0, rows), written = target.narrow(0, row, rows);
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
