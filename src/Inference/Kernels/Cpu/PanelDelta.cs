using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Eigengate.Inference.Adapters;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>y += U Σ Vᵀ x with bases in <see cref="Panels"/>; a row's result does not depend on the other rows.</summary>
internal sealed unsafe class PanelDelta(PanelProduct product, int threads) : IDisposable
{
    /// <summary>Rows of a piece at most.</summary>
    public const int MaxRows = 8 * PanelCode.MaxRows;
    private const int Lanes = 16;
    private const int LineBytes = 64;
    private readonly Scratch[] _scratch = [.. Enumerable.Range(0, threads).Select(_ => new Scratch())];
    private int _shrinkWidth;
    private int _coreWidth;

    /// <summary>Called before a step, with the widest rows between its products.</summary>
    public void EnsureRoom(int shrinkWidth, int coreWidth)
    {
        if (shrinkWidth <= _shrinkWidth && coreWidth <= _coreWidth)
            return;
        _shrinkWidth = Math.Max(shrinkWidth, _shrinkWidth);
        _coreWidth = RoundUp(Math.Max(coreWidth, _coreWidth));
        foreach (Scratch scratch in _scratch)
            scratch.Allocate(MaxRows * _shrinkWidth, MaxRows * _coreWidth);
    }

    /// <param name="piece">At most <see cref="MaxRows"/>.</param>
    /// <param name="slots">[rows], adapter slot of each row.</param>
    /// <param name="x">bfloat16, like <paramref name="y"/>.</param>
    /// <param name="thread">Index of the thread that calls.</param>
    public void Add(in DeltaPiece piece, int[] slots, CoreSlab cores, Activation x, Activation y, int thread)
    {
        Scratch scratch = _scratch[thread];
        SiteBasis basis = piece.Basis;
        Fetch(piece, slots, cores);
        product.MultiplyAlone(
            (ushort*)x.Address + ((long)piece.Start * x.Width), x.Width, (ushort*)basis.Shrink.Address, basis.Shrink.In, basis.ShrinkWidth,
            (F32*)scratch.Shrunk, _shrinkWidth, piece.Count, accumulate: false, thread);
        if (cores.ElementBytes == sizeof(float))
            MixCores<F32>(piece, slots, cores, scratch);
        else
            MixCores<Bf16>(piece, slots, cores, scratch);
        foreach (ModuleBasis module in basis.Modules)
        {
            product.MultiplyAlone(
                scratch.Mixed + module.CoreColumn, _coreWidth, (ushort*)module.Expand.Address, module.Expand.In, module.DOut,
                (Bf16*)y.Address + ((long)piece.Start * y.Width) + module.Column, y.Width, piece.Count, accumulate: true, thread);
        }
    }

    public void Dispose()
    {
        foreach (Scratch scratch in _scratch)
            scratch.Dispose();
    }

    private static int RoundUp(int width) => (width + Lanes - 1) / Lanes * Lanes;

    /// <summary>Has the cores brought from memory, where distinct adapters' lie scattered, while the shrink runs.</summary>
    private static void Fetch(in DeltaPiece piece, int[] slots, CoreSlab cores)
    {
        int previous = -1, bytes = piece.Basis.CoreLength * cores.ElementBytes;
        for (int row = piece.Start; row < piece.Start + piece.Count; row++)
        {
            if (slots[row] != previous)
                CorePrefetch.Ahead(cores.Address(slots[row], piece.Basis.CoreOffset), Math.Min(bytes, CorePrefetch.MostBytes / piece.Count));
            previous = slots[row];
        }
    }

    /// <summary>Σ of every row's own adapter, rounded to bfloat16 for the expand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MixCores<C>(in DeltaPiece piece, int[] slots, CoreSlab cores, Scratch scratch)
        where C : unmanaged, IElement<C>
    {
        float* mixed = scratch.MixedRow;
        for (int i = 0; i < piece.Count; i++)
        {
            int slot = slots[piece.Start + i];
            float* shrunk = scratch.Shrunk + (i * _shrinkWidth);
            foreach (ModuleBasis module in piece.Basis.Modules)
            {
                CpuLinear.Core((C*)cores.Address(slot, module.CoreOffset), (F32*)shrunk + module.ShrinkColumn, module.RV, mixed + module.CoreColumn, module.RU);
                if (module.RU % 2 != 0)
                    mixed[module.CoreColumn + module.RU] = 0;
            }

            for (int j = 0; j < piece.Basis.CoreWidth; j += Lanes)
                Bf16.Store((Bf16*)scratch.Mixed + (i * _coreWidth) + j, Vector512.Load(mixed + j));
        }
    }

    /// <summary>What one thread needs for one piece.</summary>
    private sealed class Scratch : IDisposable
    {
        public float* Shrunk { get; private set; }

        /// <summary>[rows, core width], bfloat16.</summary>
        public ushort* Mixed { get; private set; }

        /// <summary>One row before it is rounded.</summary>
        public float* MixedRow { get; private set; }

        public void Allocate(int shrunk, int mixed)
        {
            Dispose();
            Shrunk = (float*)NativeMemory.AlignedAlloc((nuint)shrunk * sizeof(float), LineBytes);
            Mixed = (ushort*)NativeMemory.AlignedAlloc((nuint)mixed * sizeof(ushort), LineBytes);
            MixedRow = (float*)NativeMemory.AlignedAlloc((nuint)(mixed / MaxRows) * sizeof(float), LineBytes);
            NativeMemory.Clear(MixedRow, (nuint)(mixed / MaxRows) * sizeof(float));
        }

        public void Dispose()
        {
            NativeMemory.AlignedFree(Shrunk);
            NativeMemory.AlignedFree(Mixed);
            NativeMemory.AlignedFree(MixedRow);
            Shrunk = MixedRow = null;
            Mixed = null;
        }
    }
}
