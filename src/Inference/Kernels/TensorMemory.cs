using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels;

/// <summary>The address of a tensor's first element. Take it once per buffer and keep the tensor referenced.</summary>
internal static unsafe class TensorMemory
{
    /// <summary>
    /// For calls that would make a number of their own: TorchSharp 0.107 does not keep it alive during the native call, and a collection at
    /// that moment frees it.
    /// </summary>
    public static readonly Scalar One = 1;

    /// <summary>Runs an operation with a number that stays alive as long as it takes.</summary>
    public static Tensor With(double value, Func<Scalar, Tensor> operation)
    {
        Scalar scalar = value;
        Tensor result = operation(scalar);
        GC.KeepAlive(scalar);
        return result;
    }

    public static void* Address(Tensor tensor) => (void*)THSTensor_data(tensor.Handle);

    /// <summary>An uninitialized tensor that no dispose scope ends.</summary>
    public static Tensor Allocate(ScalarType dtype, Device device, params long[] shape)
    {
        Tensor tensor = torch.empty(shape, dtype: dtype, device: device).DetachFromDisposeScope();
        if (device.type == DeviceType.CPU)
            HugePages.Advise(Address(tensor), tensor.numel() * tensor.element_size());
        return tensor;
    }

    /// <summary>Zeroed, so that even a block nobody wrote holds finite numbers.</summary>
    public static Tensor AllocateZeroed(ScalarType dtype, Device device, params long[] shape)
    {
        Tensor tensor = Allocate(dtype, device, shape);
        tensor.zero_();
        return tensor;
    }

    /// <summary>Copies values into a new tensor of the given type and device.</summary>
    public static Tensor Upload(ReadOnlySpan<float> values, ScalarType dtype, Device device, params long[] shape)
    {
        using var scope = torch.NewDisposeScope();
        Tensor host = torch.empty(shape, dtype: ScalarType.Float32);
        values.CopyTo(new Span<float>(Address(host), values.Length));
        return host.to(dtype).to(device).DetachFromDisposeScope();
    }

    /// <summary>Copies ids into a new int64 tensor of the device, which torch wants for indexing.</summary>
    public static Tensor UploadIds(ReadOnlySpan<int> values, Device device)
    {
        Tensor host = torch.empty(values.Length, dtype: ScalarType.Int64);
        var target = new Span<long>(Address(host), values.Length);
        for (int i = 0; i < values.Length; i++)
            target[i] = values[i];
        return device.type == DeviceType.CPU ? host : host.to(device);
    }

    [DllImport("LibTorchSharp")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories | DllImportSearchPath.AssemblyDirectory)]
    private static extern nint THSTensor_data(nint handle);
}
