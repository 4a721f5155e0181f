using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels;

/// <summary>
/// A preallocated matrix of activations [capacity, width], one row per token of the step. Torch reads and writes it
/// through views, which are kept while the step's layout stays the same: a decode step makes no new ones.
/// </summary>
internal sealed unsafe class Activation : IDisposable
{
    private const int MaxViews = 256;
    private readonly Tensor _tensor;
    private readonly Dictionary<(int Row, int Rows, int Column, int Columns), Tensor> _views = [];

    public Activation(int capacity, int width, ScalarType dtype, Device device)
    {
        _tensor = TensorMemory.AllocateZeroed(dtype, device, capacity, width);
        Width = width;
        Address = (byte*)TensorMemory.Address(_tensor);
    }

    /// <summary>Elements in a row; also the distance between rows.</summary>
    public int Width { get; }

    public byte* Address { get; }

    public ScalarType DType => _tensor.dtype;

    public bool OnHost => _tensor.device_type == TorchSharp.DeviceType.CPU;

    /// <summary>The first rows, all columns. Valid until the next step.</summary>
    public Tensor Rows(int rows) => Slice(0, rows, 0, Width);

    /// <summary>A part [rows, columns]. Valid until the next step.</summary>
    public Tensor Slice(int row, int rows, int column, int columns)
    {
        if (_views.TryGetValue((row, rows, column, columns), out Tensor? view))
            return view;
        using Tensor band = _tensor.narrow(0, row, rows);
        view = band.narrow(1, column, columns).DetachFromDisposeScope();
        _views.Add((row, rows, column, columns), view);
        return view;
    }

    /// <summary>A part [rows, columns] that belongs to the caller; may be called from any thread.</summary>
    public Tensor Part(int row, int rows, int column, int columns)
    {
        using Tensor band = _tensor.narrow(0, row, rows);
        return band.narrow(1, column, columns);
    }

    /// <summary>Called between steps: bounds the views kept.</summary>
    public void TrimViews()
    {
        if (_views.Count > MaxViews)
            DropViews();
    }

    public void Dispose()
    {
        DropViews();
        _tensor.Dispose();
    }

    private void DropViews()
    {
        foreach (Tensor view in _views.Values)
            view.Dispose();
        _views.Clear();
    }
}
