using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.Lab;

/// <summary>Float32 tensors to and from safetensors files.</summary>
internal static class TensorFiles
{
    public static void Add(SafetensorsWriter writer, string name, Tensor tensor)
    {
        using Tensor plain = tensor.detach().contiguous();
        writer.Add(name, plain.data<float>().ToArray(), tensor.shape);
    }

    /// <exception cref="SafetensorsException">The tensor is missing or has another shape.</exception>
    public static void CopyInto(Tensor destination, SafetensorsFile file, string name)
    {
        if (!file.Entry(name).Shape.AsSpan().SequenceEqual(destination.shape))
            throw new SafetensorsException(file.Source, $"tensor '{name}' should have shape [{string.Join(", ", destination.shape)}]");
        using var _ = no_grad();
        using Tensor source = tensor(file.ReadFloat32(name), destination.shape);
        destination.copy_(source);
    }
}
