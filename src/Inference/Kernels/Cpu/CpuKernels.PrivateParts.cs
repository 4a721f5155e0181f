using System.Runtime.InteropServices;
using Eigengate.Inference.Adapters;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>What adapters alone have: one segment of rows an adapter, read page by page where it lies.</summary>
internal sealed unsafe partial class CpuKernels<T>
{
    private float* _privateShrink;
    private int _privateShrinkLength;

    public void AddPrivateDelta(PrivateSegment segment, PrivateSite site, Activation x, Activation y)
    {
        if (site.ShrinkWidth == 0)
            return;
        if (segment.Count > SmallRows)
        {
            TorchPrivateParts.AddDelta(segment, site, x, y);
            return;
        }

        PagePool pool = segment.Parts.Pool;
        float* shrunk = PrivateShrink(segment.Count * site.ShrinkWidth);
        fixed (int* pages = segment.Parts.Pages)
        {
            new PagedFactors<T>((T*)pool.Address, pool.Width, pages + site.FirstA)
                .Shrink(Row(x, segment.Start), x.Width, segment.Count, site.DIn, shrunk, site.ShrinkWidth);
            foreach (PrivateModule module in site.Modules)
            {
                new PagedFactors<T>((T*)pool.Address, pool.Width, pages + module.FirstB).Expand(
                    shrunk + module.ShrinkColumn, site.ShrinkWidth, module.Rank, Row(y, segment.Start) + module.Column, y.Width, segment.Count, module.DOut);
            }
        }
    }

    public void AddScaled(PrivateSegment segment, PagedVector gain, Activation source, int sourceRow, Activation y, int column)
    {
        PagePool pool = segment.Parts.Pool;
        for (int at = 0, page = gain.First; at < gain.Length; at += pool.Width, page++)
        {
            T* values = (T*)pool.Address + ((long)segment.Parts.Pages[page] * pool.Width);
            int count = Math.Min(pool.Width, gain.Length - at);
            for (int row = 0; row < segment.Count; row++)
                CpuElementwise.AddProduct(values, Row(source, sourceRow + row) + column + at, Row(y, segment.Start + row) + column + at, count);
        }
    }

    public void AddBias(PrivateSegment segment, PagedVector bias, Activation y, int column)
    {
        PagePool pool = segment.Parts.Pool;
        for (int at = 0, page = bias.First; at < bias.Length; at += pool.Width, page++)
        {
            T* values = (T*)pool.Address + ((long)segment.Parts.Pages[page] * pool.Width);
            int count = Math.Min(pool.Width, bias.Length - at);
            for (int row = 0; row < segment.Count; row++)
                CpuElementwise.Add(values, Row(y, segment.Start + row) + column + at, count);
        }
    }

    private float* PrivateShrink(int length)
    {
        if (length > _privateShrinkLength)
        {
            NativeMemory.AlignedFree(_privateShrink);
            _privateShrink = Floats(length);
            _privateShrinkLength = length;
        }

        return _privateShrink;
    }
}
