using Eigengate.Inference.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>The cores of all loaded adapters on the device, float32 [slots, pitch]; one adapter a row.</summary>
internal sealed unsafe class CoreSlab : IDisposable
{
    public CoreSlab(int slots, int pitch, Device device)
    {
        Pitch = pitch;
        Cores = TensorMemory.Allocate(ScalarType.Float32, device, slots, pitch);
        Address = (float*)TensorMemory.Address(Cores);
    }

    public Tensor Cores { get; }

    /// <summary>Floats from one slot to the next.</summary>
    public int Pitch { get; }

    public float* Address { get; }

    public void Write(int slot, ReadOnlySpan<float> packed)
    {
        using var scope = torch.NewDisposeScope();
        if (Cores.device_type == DeviceType.CPU)
            packed.CopyTo(new Span<float>(Address + ((long)slot * Pitch), packed.Length));
        else
            Cores[slot].narrow(0, 0, packed.Length).copy_(torch.tensor(packed.ToArray()));
    }

    public void CopyRowFrom(CoreSlab other, int slot)
    {
        using var scope = torch.NewDisposeScope();
        Cores[slot].narrow(0, 0, other.Pitch).copy_(other.Cores[slot]);
    }

    public void Dispose() => Cores.Dispose();
}
