using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels;

/// <summary>A linear layer's weight [out, in], row-major, in the engine's type and on its device.</summary>
internal sealed unsafe class Matrix : IDisposable
{
    /// <param name="weight">[out, in]; owned from here on.</param>
    public Matrix(Tensor weight)
    {
        Weight = weight.DetachFromDisposeScope();
        Transposed = weight.t().DetachFromDisposeScope();
        Out = (int)weight.shape[0];
        In = (int)weight.shape[1];
        Address = TensorMemory.Address(weight);
    }

    public Tensor Weight { get; }

    /// <summary>The same memory seen as [in, out].</summary>
    public Tensor Transposed { get; }

    public int Out { get; }

    public int In { get; }

    public void* Address { get; }

    public void Dispose()
    {
        Transposed.Dispose();
        Weight.Dispose();
    }
}
