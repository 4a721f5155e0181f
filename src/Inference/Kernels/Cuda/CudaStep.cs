using Eigengate.Inference.Adapters;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>
/// The integers of one step on the device, at addresses that stay the same from step to step: recorded graphs read them
/// there. Rows behind the step's own are padding: without position, KV slot or adapter.
/// </summary>
internal sealed unsafe class CudaStep : IDisposable
{
    /// <summary>Segments whose rows may be padded; more are computed without padding.</summary>
    public const int MaxMasks = 4;
    public const int MaxPaddedRows = 256;
    private readonly IKernelDevice _device;
    private readonly int _capacity;
    private int _tableCapacity;
    private int* _host;
    private int* _memory;

    public CudaStep(IKernelDevice device, int maxRows)
    {
        _device = device;
        _capacity = Math.Max(maxRows, MaxPaddedRows);
        Grow(1 << 12);
    }

    public int* TokenIds => _memory;

    /// <summary>-1 for padding.</summary>
    public int* Positions => _memory + _capacity;

    public int* Slots => _memory + (2L * _capacity);

    /// <summary>Where the row's KV blocks begin in <see cref="Blocks"/>.</summary>
    public int* Tables => _memory + (3L * _capacity);

    public int* AdapterSlots => _memory + (4L * _capacity);

    public int* LogitRows => _memory + (5L * _capacity);

    public int* Blocks => _memory + Fixed;

    private long Fixed => (6L * _capacity) + (MaxMasks * MaxPaddedRows);

    /// <summary>[<see cref="MaxPaddedRows"/>], the adapter slot of each row of a segment, -1 outside of it.</summary>
    public int* Mask(int segment) => _memory + (6L * _capacity) + (segment * MaxPaddedRows);

    /// <summary>Copies a step; the device must have finished the one before.</summary>
    /// <param name="step">What is computed.</param>
    /// <param name="rows">With the padding.</param>
    /// <returns>False when the addresses have changed.</returns>
    public bool Upload(StepInput step, int rows)
    {
        int blocks = 0;
        foreach (SequenceRows sequence in step.Sequences)
            blocks += sequence.Blocks.Count;
        bool fits = blocks <= _tableCapacity;
        if (!fits)
            Grow(2 * blocks);
        Copy(step.TokenIds, 0, step.Rows, rows, 0);
        Copy(step.Positions, 1, step.Rows, rows, -1);
        Copy(step.SlotMapping, 2, step.Rows, rows, 0);
        Copy(step.AdapterSlot, 4, step.Rows, rows, -1);
        CopyTables(step, rows);
        for (int i = 0; i < step.LogitRows.Count; i++)
            _host[(5L * _capacity) + i] = step.LogitRows[i];
        if (rows <= MaxPaddedRows && step.Segments.Count <= MaxMasks)
            WriteMasks(step);
        _device.Upload(_memory, _host, (Fixed + blocks) * sizeof(int));
        return fits;
    }

    public void Dispose()
    {
        _device.Free(_memory);
        _device.FreeHost(_host);
    }

    private void Copy(int[] values, int column, int count, int rows, int padding)
    {
        int* target = _host + ((long)column * _capacity);
        values.AsSpan(0, count).CopyTo(new Span<int>(target, count));
        new Span<int>(target + count, rows - count).Fill(padding);
    }

    private void CopyTables(StepInput step, int rows)
    {
        int* tables = _host + (3L * _capacity), blocks = _host + Fixed;
        int used = 0;
        foreach (SequenceRows sequence in step.Sequences)
        {
            new Span<int>(tables + sequence.FirstRow, sequence.Rows).Fill(used);
            sequence.Blocks.Blocks.CopyTo(new Span<int>(blocks + used, sequence.Blocks.Count));
            used += sequence.Blocks.Count;
        }

        new Span<int>(tables + step.Rows, rows - step.Rows).Clear();
    }

    private void WriteMasks(StepInput step)
    {
        for (int i = 0; i < step.Segments.Count; i++)
        {
            ClusterSegment segment = step.Segments[i];
            var mask = new Span<int>(_host + (6L * _capacity) + (i * MaxPaddedRows), MaxPaddedRows);
            mask.Fill(-1);
            step.AdapterSlot.AsSpan(segment.Start, segment.Count).CopyTo(mask[segment.Start..]);
        }
    }

    private void Grow(int tables)
    {
        if (_memory is not null)
            Dispose();
        _tableCapacity = tables;
        _memory = (int*)_device.Allocate((Fixed + tables) * sizeof(int));
        _host = (int*)_device.AllocateHost((Fixed + tables) * sizeof(int));
    }
}
