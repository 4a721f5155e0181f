using Eigengate.Inference.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>The cores of all loaded adapters on the device, [slots, pitch]; one adapter a row. What reads them computes in float32.</summary>
internal sealed unsafe class CoreSlab : IDisposable
{
    private readonly byte* _address;

    /// <param name="slots">Adapters that have room.</param>
    /// <param name="pitch">Numbers of one adapter.</param>
    /// <param name="dtype">float32, or bfloat16, which halves the bytes that a step with distinct adapters moves.</param>
    /// <param name="device">Where the cores lie.</param>
    public CoreSlab(int slots, int pitch, ScalarType dtype, Device device)
    {
        Pitch = pitch;
        Cores = TensorMemory.Allocate(dtype, device, slots, pitch);
        ElementBytes = (int)Cores.element_size();
        _address = (byte*)TensorMemory.Address(Cores);
    }

    public Tensor Cores { get; }

    /// <summary>Numbers from one slot to the next.</summary>
    public int Pitch { get; }

    public int ElementBytes { get; }

    /// <summary>Where a slot's number <paramref name="offset"/> lies, on the CPU.</summary>
    public byte* Address(int slot, int offset) => _address + ((((long)slot * Pitch) + offset) * ElementBytes);

    public void Write(int slot, ReadOnlySpan<float> packed)
    {
        using var scope = torch.NewDisposeScope();
        Tensor target = Cores[slot].narrow(0, 0, packed.Length);
        if (Cores.device_type == DeviceType.CPU && ElementBytes == sizeof(float))
            packed.CopyTo(new Span<float>(Address(slot, 0), packed.Length));
        else
            target.copy_(torch.tensor(packed.ToArray()));
    }

    public void CopyRowFrom(CoreSlab other, int slot)
    {
        using var scope = torch.NewDisposeScope();
        Cores[slot].narrow(0, 0, other.Pitch).copy_(other.Cores[slot]);
    }

    public void Dispose() => Cores.Dispose();
}
