using System.Runtime.InteropServices;
using Eigengate.Inference.Adapters;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>y += U Σ Vᵀ x with row-major bases: our own loops for few rows or small bases, torch's products otherwise.</summary>
internal sealed unsafe class RowMajorDelta<T>(int maxRows) : IDisposable
    where T : unmanaged, IElement<T>
{
    private float* _mixed;
    private int _shrinkWidth;
    private int _coreWidth;
    private Activation? _shrunk;
    private Activation? _cores;

    private static ScalarType DType => sizeof(T) == sizeof(float) ? ScalarType.Float32 : ScalarType.BFloat16;

    /// <summary>Whether our own loops take so many rows; the products with the bases follow the same rule as the base model's.</summary>
    public static bool IsSmall(int rows, SiteBasis basis) => rows <= RowMajorProduct.FewRows<T>()
        || (rows <= RowMajorProduct.SmallRows && (long)basis.Shrink.In * basis.Shrink.Out <= RowMajorProduct.SmallWeight);

    /// <summary>Called before a step, with the widest rows between its products.</summary>
    public void EnsureRoom(int shrinkWidth, int coreWidth)
    {
        _shrunk?.TrimViews();
        _cores?.TrimViews();
        if (shrinkWidth <= _shrinkWidth && coreWidth <= _coreWidth)
            return;
        Dispose();
        _shrinkWidth = Math.Max(shrinkWidth, _shrinkWidth);
        _coreWidth = Math.Max(coreWidth, _coreWidth);
        _mixed = (float*)NativeMemory.AlignedAlloc((nuint)(maxRows * Math.Max(_coreWidth, 16)) * sizeof(float), 64);
        _shrunk = new Activation(maxRows, _shrinkWidth, DType, CPU);
        _cores = new Activation(maxRows, _coreWidth, DType, CPU);
    }

    /// <param name="slots">[rows], adapter slot of each row.</param>
    public void Add(in DeltaPiece piece, int[] slots, CoreSlab cores, Activation x, Activation y)
    {
        bool small = IsSmall(piece.Rows, piece.Basis);
        Shrink(piece, x, small);
        foreach (ModuleBasis module in piece.Basis.Modules)
        {
            if (cores.ElementBytes == sizeof(float))
                MixCores<F32>(piece, module, slots, cores);
            else
                MixCores<Bf16>(piece, module, slots, cores);
            if (small)
            {
                CpuLinear.AddCombinations(
                    _mixed + ((long)piece.Start * _coreWidth) + module.CoreColumn, _coreWidth, (T*)module.Expand.Address, module.RU,
                    Row(y, piece.Start) + module.Column, y.Width, piece.Count, module.DOut);
            }
        }

        if (!small)
            Expand(piece, y);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_mixed);
        _mixed = null;
        _shrunk?.Dispose();
        _cores?.Dispose();
    }

    private static T* Row(Activation activation, int row) => (T*)activation.Address + ((long)row * activation.Width);

    private void Shrink(in DeltaPiece piece, Activation x, bool small)
    {
        SiteBasis basis = piece.Basis;
        if (small)
        {
            CpuLinear.Multiply(
                Row(x, piece.Start), x.Width, (T*)basis.Shrink.Address, basis.Shrink.In,
                Row(_shrunk!, piece.Start), _shrunk!.Width, piece.Count, basis.ShrinkWidth, accumulate: false);
            return;
        }

        using var scope = torch.NewDisposeScope();
        _shrunk!.Part(piece.Start, piece.Count, 0, basis.ShrinkWidth)
            .addmm_(x.Part(piece.Start, piece.Count, 0, x.Width), basis.Shrink.Transposed, beta: 0);
    }

    /// <summary>Σ of every row's own adapter.</summary>
    private void MixCores<C>(in DeltaPiece piece, ModuleBasis module, int[] slots, CoreSlab cores)
        where C : unmanaged, IElement<C>
    {
        int end = piece.Start + piece.Count;
        for (int row = piece.Start; row < end; row++)
        {
            if (row + 1 < end)
                CorePrefetch.Near((byte*)CoreOf(row + 1), module.RU * module.RV * sizeof(C));
            CpuLinear.Core(
                CoreOf(row), Row(_shrunk!, row) + module.ShrinkColumn, module.RV,
                _mixed + ((long)row * _coreWidth) + module.CoreColumn, module.RU);
        }

        C* CoreOf(int row) => (C*)cores.Address(slots[row], module.CoreOffset);
    }

    private void Expand(in DeltaPiece piece, Activation y)
    {
        for (int row = piece.Start; row < piece.Start + piece.Count; row++)
        {
            T* target = Row(_cores!, row);
            float* mixed = _mixed + ((long)row * _coreWidth);
            foreach (ModuleBasis module in piece.Basis.Modules)
            {
                for (int i = module.CoreColumn; i < module.CoreColumn + module.RU; i++)
                    T.Write(target + i, mixed[i]);
            }
        }

        using var scope = torch.NewDisposeScope();
        foreach (ModuleBasis module in piece.Basis.Modules)
        {
            y.Part(piece.Start, piece.Count, module.Column, module.DOut)
                .addmm_(_cores!.Part(piece.Start, piece.Count, module.CoreColumn, module.RU), module.Expand.Weight);
        }
    }
}
