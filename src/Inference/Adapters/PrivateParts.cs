using Eigengate.Inference.Kernels;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>The private parts of one adapter on the device: where they lie, and in which pages. The pages go back with the adapter's slot.</summary>
internal sealed class PrivateParts(PrivateLayout layout, int[] pages, PagePool pool) : IDisposable
{
    private Tensor? _table;

    public PrivateLayout Layout { get; } = layout;

    /// <summary>Page table: numbers in the pool by place in the layout.</summary>
    public int[] Pages { get; } = pages;

    public PagePool Pool { get; } = pool;

    /// <summary>The page table on the device, int64. Made by whoever writes the pages, before the step thread sees them.</summary>
    public Tensor Table => _table ?? throw new InvalidOperationException("the private parts were not written yet");

    public PrivateSite? At(int layer, Site site) => Layout.At(layer, site);

    public void Write(AdapterWeights adapter)
    {
        Layout.Write(adapter, Pages);
        _table?.Dispose();
        _table = TensorMemory.UploadIds(Pages, Pool.Device).DetachFromDisposeScope();
    }

    public void Dispose() => _table?.Dispose();
}

/// <summary>Consecutive rows of a step that belong to one adapter with private parts.</summary>
internal readonly record struct PrivateSegment(PrivateParts Parts, int Start, int Count);
