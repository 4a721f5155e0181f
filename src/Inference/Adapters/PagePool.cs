using System.Globalization;
using Eigengate.Inference.Kernels;
using Eigengate.Inference.Models;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>
/// Device memory of fixed size for what adapters do not share, in equal pages. An adapter takes as many pages as it needs, wherever
/// they are, so that adapters of any ranks fill the pool without holes (Sheng et al., "S-LoRA", 2023). Taking and returning is
/// not thread-safe; reading and writing different pages is.
/// </summary>
internal sealed unsafe class PagePool : IDisposable
{
    /// <summary>Below this, page numbers would take too much beside the pages.</summary>
    private const int LeastWidth = 64;
    private const int Lanes = 16;
    private readonly Stack<int> _returned = new();
    private int _fresh;

    /// <param name="bytes">Size; whole pages of it are used.</param>
    public PagePool(long bytes, ModelConfig config, ScalarType dtype, Device device)
    {
        // A width that divides every vector of the model leaves no page partly empty.
        int common = new[] { config.HiddenSize, config.QueryWidth, config.KvWidth, config.IntermediateSize }.Aggregate(CommonDivisor);
        Width = (Math.Max(common, LeastWidth) + Lanes - 1) / Lanes * Lanes;
        ElementBytes = dtype == ScalarType.BFloat16 ? 2 : 4;
        Count = (int)Math.Min(bytes / PageBytes, int.MaxValue);
        Device = device;
        Pages = TensorMemory.Allocate(dtype, device, Count, Width);
        Address = (byte*)TensorMemory.Address(Pages);
    }

    /// <summary>[Count, Width] in the engine's type.</summary>
    public Tensor Pages { get; }

    public byte* Address { get; }

    public Device Device { get; }

    public int Count { get; }

    /// <summary>Elements in a page.</summary>
    public int Width { get; }

    public int ElementBytes { get; }

    public int PageBytes => Width * ElementBytes;

    public int Free => Count - _fresh + _returned.Count;

    /// <summary>Pages that a vector takes.</summary>
    public int PagesOf(int elements) => (elements + Width - 1) / Width;

    /// <summary>Takes free pages; the caller has seen that there are enough.</summary>
    public int[] Take(int count)
    {
        int[] pages = new int[count];
        for (int i = 0; i < count; i++)
            pages[i] = _returned.TryPop(out int page) ? page : _fresh++;
        return pages;
    }

    public void Return(int[] pages)
    {
        // Backwards, so that the next adapter gets them in the order of their addresses.
        for (int i = pages.Length - 1; i >= 0; i--)
            _returned.Push(pages[i]);
    }

    /// <exception cref="InvalidOperationException">The pages in use and the free ones are not each page once.</exception>
    public void Check(IEnumerable<int> used)
    {
        int[] known = [.. used, .. _returned];
        if (known.Length != _fresh || known.Distinct().Count() != _fresh || known.Any(page => page < 0 || page >= _fresh) || _fresh > Count)
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{known.Length} known pages are not the {_fresh} of {Count} that were handed out"));
    }

    public void Dispose() => Pages.Dispose();

    private static int CommonDivisor(int a, int b) => b == 0 ? a : CommonDivisor(b, a % b);
}
