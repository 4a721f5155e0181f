using Eigengate.Inference.Kernels;
using Eigengate.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>Fills an adapter's pages from the host: in place where the pool is host memory, else gathered and sent once.</summary>
internal sealed unsafe class PageWriter : IDisposable
{
    private readonly PagePool _pool;
    private readonly int[] _pages;
    private readonly Tensor? _staging;
    private readonly byte* _staged;

    /// <param name="pages">The adapter's page table.</param>
    public PageWriter(PagePool pool, int[] pages)
    {
        _pool = pool;
        _pages = pages;
        if (pool.Device.type == DeviceType.CPU)
            return;
        _staging = TensorMemory.Allocate(pool.Pages.dtype, CPU, pages.Length, pool.Width);
        _staged = (byte*)TensorMemory.Address(_staging);
    }

    /// <summary>Writes a row; its pages are <paramref name="stride"/> entries of the table apart.</summary>
    public void WriteRow(ReadOnlySpan<float> values, int first, int stride)
    {
        for (int at = 0, page = first; at < values.Length; at += _pool.Width, page += stride)
        {
            ReadOnlySpan<float> part = values[at..Math.Min(values.Length, at + _pool.Width)];
            if (_pool.ElementBytes == sizeof(float))
                part.CopyTo(new Span<float>(Page(page), part.Length));
            else
                Narrow(part, (ushort*)Page(page));
        }
    }

    /// <summary>Sends what was gathered.</summary>
    public void Dispose()
    {
        if (_staging is null)
            return;
        using (torch.NewDisposeScope())
            _pool.Pages.index_copy_(0, TensorMemory.UploadIds(_pages, _pool.Device), _staging.to(_pool.Device));
        _staging.Dispose();
    }

    private static void Narrow(ReadOnlySpan<float> values, ushort* target)
    {
        for (int i = 0; i < values.Length; i++)
            target[i] = FloatConversion.ToBFloat16(values[i]);
    }

    private byte* Page(int index) => _staging is null
        ? _pool.Address + ((long)_pages[index] * _pool.PageBytes)
        : _staged + ((long)index * _pool.PageBytes);
}
