using System.Runtime.InteropServices;
using Eigengate.Inference.Scheduling;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels;

/// <summary>Sequences of one step with the same number of query rows, which torch attends to in one go.</summary>
internal sealed class AttentionGroup : IDisposable
{
    private readonly SequenceRows[] _sequences;
    private readonly Device _device;
    private readonly int _longest;
    private readonly Dictionary<int, Tensor> _masks = [];

    public AttentionGroup(SequenceRows[] sequences, Device device)
    {
        _sequences = sequences;
        _device = device;
        _longest = sequences.Max(s => s.Context);
        int[] slots = new int[sequences.Length * _longest];
        var queryRows = new List<int>(sequences.Length * Rows);
        for (int s = 0; s < sequences.Length; s++)
        {
            queryRows.AddRange(Enumerable.Range(sequences[s].FirstRow, Rows));
            for (int position = 0; position < sequences[s].Context; position++)
                slots[(s * _longest) + position] = sequences[s].Blocks.Slot(position);
        }

        QueryRows = TensorMemory.UploadIds(CollectionsMarshal.AsSpan(queryRows), device).DetachFromDisposeScope();
        KvSlots = TensorMemory.UploadIds(slots, device).DetachFromDisposeScope();
    }

    public int Sequences => _sequences.Length;

    /// <summary>Query rows of each sequence.</summary>
    public int Rows => _sequences[0].Rows;

    /// <summary>[sequences · rows], rows of the step.</summary>
    public Tensor QueryRows { get; }

    /// <summary>[sequences · longest context], padded with slot 0.</summary>
    public Tensor KvSlots { get; }

    /// <summary>[sequences, 1, rows, 1, longest context], 0 where a row may look and −∞ elsewhere. Kept: layers share their windows.</summary>
    /// <param name="window">Positions that a row attends to at most, itself included.</param>
    public Tensor Mask(int window)
    {
        window = Math.Min(window, _longest);
        if (_masks.TryGetValue(window, out Tensor? known))
            return known;
        float[] mask = new float[_sequences.Length * Rows * _longest];
        Array.Fill(mask, float.NegativeInfinity);
        for (int s = 0; s < _sequences.Length; s++)
        {
            for (int row = 0; row < Rows; row++)
            {
                int end = _sequences[s].Context - Rows + row + 1, begin = Math.Max(0, end - window);
                mask.AsSpan((((s * Rows) + row) * _longest) + begin, end - begin).Clear();
            }
        }

        return _masks[window] = TensorMemory.Upload(mask, ScalarType.Float32, _device, _sequences.Length, 1, Rows, 1, _longest);
    }

    public void Dispose()
    {
        QueryRows.Dispose();
        KvSlots.Dispose();
        foreach (Tensor mask in _masks.Values)
            mask.Dispose();
    }
}
