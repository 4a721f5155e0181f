using Eigengate.Inference.Kernels.Cpu;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels;

/// <summary>A linear layer's weight [out, in] in the engine's type and on its device: row-major, unless it was put into panels.</summary>
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

    /// <summary>[out, in]; only its memory has a meaning once it lies in panels.</summary>
    public Tensor Weight { get; private set; }

    /// <summary>The same memory seen as [in, out].</summary>
    public Tensor Transposed { get; private set; }

    public int Out { get; }

    public int In { get; }

    public void* Address { get; private set; }

    /// <summary>Lies in <see cref="Panels"/>: fit for the CPU's own products, not for torch.</summary>
    public bool InPanels { get; private set; }

    /// <summary>Rearranges bfloat16 weights of an even number of inputs on the CPU, in place where whole panels fit.</summary>
    public void ToPanels()
    {
        int panels = Panels.Count(Out);
        if (panels * Panels.Width != Out)
        {
            Tensor padded = TensorMemory.AllocateZeroed(Weight.dtype, CPU, panels * Panels.Width, In);
            using (Tensor present = padded.narrow(0, 0, Out))
                present.copy_(Weight);
            Dispose();
            Weight = padded;
            Transposed = padded.t().DetachFromDisposeScope();
            Address = TensorMemory.Address(padded);
        }

        Panels.Interleave((ushort*)Address, panels, In);
        InPanels = true;
    }

    public void Dispose()
    {
        Transposed.Dispose();
        Weight.Dispose();
    }
}
