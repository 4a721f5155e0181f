using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// Attention of many rows of one sequence with the products of <see cref="PanelCode"/>: keys and values of 64 positions at a
/// time are laid into panels, and the softmax is carried along from one to the next, so that no score is ever stored.
/// </summary>
internal sealed unsafe class PanelAttention : IDisposable
{
    private const int Lanes = 16;
    private const int Rows = PanelCode.MaxRows;
    private const int Keys = Panels.Width;
    private readonly ModelConfig _config;
    private readonly int _valuePanels;
    private readonly float* _scores;
    private readonly ushort* _weights;
    private readonly float* _mixed;
    private ushort* _keys;
    private ushort* _values;
    private int _blocks;

    /// <summary>Working memory of one thread.</summary>
    public PanelAttention(ModelConfig config)
    {
        _config = config;
        _valuePanels = Panels.Count(config.HeadDim);
        _scores = (float*)Allocate(Rows * Keys * sizeof(float));
        _weights = (ushort*)Allocate(Rows * Keys * sizeof(ushort));
        _mixed = (float*)Allocate(_valuePanels * Rows * Panels.Width * sizeof(float));
    }

    /// <summary>The processor and the head width allow it.</summary>
    public static bool Fits(ModelConfig config) => PanelCode.IsSupported && config.HeadDim % 2 == 0;

    /// <summary>Attention of the query heads that share one KV head.</summary>
    /// <param name="window">Positions that a row attends to at most, itself included.</param>
    public void Attend(in SequenceRows sequence, Activation qkv, KvLayer cache, int window, Activation context, int kvHead)
    {
        int share = _config.Heads / _config.KvHeads, before = sequence.Context - sequence.Rows;
        int first = Math.Max(0, before + 1 - window) / Keys * Keys;
        Arrange(sequence, cache, kvHead, first);
        for (int head = kvHead * share; head < (kvHead + 1) * share; head++)
        {
            for (int row = 0; row < sequence.Rows; row += Rows)
            {
                long at = sequence.FirstRow + row;
                int rows = Math.Min(Rows, sequence.Rows - row);
                AttendRows(
                    (ushort*)qkv.Address + (at * qkv.Width) + (head * _config.HeadDim), qkv.Width, before + row, rows, first, window,
                    (Bf16*)context.Address + (at * context.Width) + (head * _config.HeadDim), context.Width);
            }
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_scores);
        NativeMemory.AlignedFree(_weights);
        NativeMemory.AlignedFree(_mixed);
        NativeMemory.AlignedFree(_keys);
        NativeMemory.AlignedFree(_values);
    }

    private static void* Allocate(long bytes) => NativeMemory.AlignedAlloc((nuint)bytes, 64);

    /// <summary>Lays the keys and values of one KV head into panels, from a position on that begins a block.</summary>
    private void Arrange(in SequenceRows sequence, KvLayer cache, int kvHead, int first)
    {
        int width = _config.HeadDim, pairs = width / 2, blocks = (sequence.Context - first + Keys - 1) / Keys;
        EnsureRoom(blocks);
        for (int block = 0; block < blocks; block++)
        {
            uint* keys = (uint*)_keys + ((long)block * pairs * Keys);
            ushort* values = _values + ((long)block * _valuePanels * Keys * Panels.Width);
            int start = first + (block * Keys), count = Math.Min(Keys, sequence.Context - start);
            if (count < Keys)
            {
                new Span<uint>(keys, pairs * Keys).Clear();
                new Span<ushort>(values, _valuePanels * Keys * Panels.Width).Clear();
            }

            for (int i = 0; i < count; i++)
            {
                long slot = ((long)sequence.Blocks.Slot(start + i) * _config.KvWidth) + (kvHead * width);
                uint* key = (uint*)((ushort*)cache.KeyAddress + slot);
                for (int pair = 0; pair < pairs; pair++)
                    keys[(pair * Keys) + i] = key[pair];
                ArrangeValue((ushort*)cache.ValueAddress + slot, i, values);
            }
        }
    }

    private void ArrangeValue(ushort* value, int position, ushort* panels)
    {
        for (int panel = 0; panel < _valuePanels; panel++)
        {
            ushort* target = panels + (panel * Keys * Panels.Width) + (position / 2 * 2 * Panels.Width) + (position % 2);
            int column = panel * Panels.Width, count = Math.Min(Panels.Width, _config.HeadDim - column);
            for (int i = 0; i < count; i++)
                target[2 * i] = value[column + i];
        }
    }

    private void EnsureRoom(int blocks)
    {
        if (blocks <= _blocks)
            return;
        NativeMemory.AlignedFree(_keys);
        NativeMemory.AlignedFree(_values);
        _blocks = Math.Max(blocks, 2 * _blocks);
        _keys = (ushort*)Allocate((long)_blocks * Keys * _config.HeadDim * sizeof(ushort));

        // The columns behind the last of a head stay zero.
        long values = (long)_blocks * _valuePanels * Keys * Panels.Width * sizeof(ushort);
        _values = (ushort*)Allocate(values);
        NativeMemory.Clear(_values, (nuint)values);
    }

    /// <param name="position">Of the first row.</param>
    private void AttendRows(ushort* query, nint stride, int position, int rows, int first, int window, Bf16* context, nint contextStride)
    {
        float* max = stackalloc float[Rows], sum = stackalloc float[Rows];
        for (int row = 0; row < rows; row++)
            (max[row], sum[row]) = (float.NegativeInfinity, 0);
        int width = _config.HeadDim, pairs = width / 2;
        int from = Math.Max(first, (position - window + 1) / Keys * Keys);
        bool fresh = true;
        for (int start = from; start < position + rows; start += Keys)
        {
            int block = (start - first) / Keys;
            PanelCode.Run(query, stride * sizeof(ushort), _keys + ((long)block * Keys * width), pairs, _scores, rows, accumulate: false);
            for (int row = 0; row < rows; row++)
                Weigh(row, Math.Max(0, position + row - window + 1 - start), Math.Min(Keys, position + row + 1 - start), ref max[row], ref sum[row], fresh);
            for (int panel = 0; panel < _valuePanels; panel++)
            {
                PanelCode.Run(
                    _weights, Keys * sizeof(ushort), _values + ((((long)block * _valuePanels) + panel) * Keys * Panels.Width), Keys / 2,
                    _mixed + (panel * Rows * Panels.Width), rows, accumulate: !fresh);
            }

            fresh = false;
        }

        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < width; i++)
                Bf16.Write(context + (row * contextStride) + i, MixedOf(row, i / Panels.Width)[i % Panels.Width] / sum[row]);
        }
    }

    private float* MixedOf(int row, int panel) => _mixed + (((panel * Rows) + row) * Panels.Width);

    /// <summary>Turns a row of scores into weights exp(score − max) and rescales what was summed under an older maximum.</summary>
    /// <param name="begin">First key of the block that the row looks at; <paramref name="end"/> is behind the last.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Weigh(int row, int begin, int end, ref float max, ref float sum, bool fresh)
    {
        float* scores = _scores + (row * Keys);
        ushort* weights = _weights + (row * Keys);
        Vector512<float> scale = Vector512.Create(1 / MathF.Sqrt(_config.HeadDim)), lowest = Vector512.Create(float.NegativeInfinity);
        Vector512<int> lane = Vector512.CreateSequence(0, 1), first = Vector512.Create(begin), last = Vector512.Create(end);
        Vector512<float> maxima = lowest;
        for (int i = 0; i < Keys; i += Lanes)
        {
            Vector512<int> at = lane + Vector512.Create(i);
            Vector512<int> seen = Vector512.GreaterThanOrEqual(at, first) & Vector512.LessThan(at, last);
            Vector512<float> score = Vector512.ConditionalSelect(seen.AsSingle(), Vector512.Load(scores + i) * scale, lowest);
            score.Store(scores + i);
            maxima = Vector512.Max(maxima, score);
        }

        float highest = max;
        for (int i = 0; i < Lanes; i++)
            highest = MathF.Max(highest, maxima[i]);
        if (float.IsNegativeInfinity(highest))
        {
            // The window has not begun in this block.
            new Span<ushort>(weights, Keys).Clear();
            return;
        }

        Vector512<float> sums = Vector512<float>.Zero, top = Vector512.Create(highest);
        for (int i = 0; i < Keys; i += Lanes)
        {
            Vector512<float> score = Vector512.Load(scores + i);
            Vector512<float> weight = VectorExp.Of(score - top) & ~Vector512.Equals(score, lowest);
            Bf16.Store((Bf16*)weights + i, weight);
            sums += weight;
        }

        if (highest > max && !fresh)
            Rescale(row, MathF.Exp(max - highest), ref sum);
        sum += Vector512.Sum(sums);
        max = highest;
    }

    private void Rescale(int row, float factor, ref float sum)
    {
        sum *= factor;
        for (int panel = 0; panel < _valuePanels; panel++)
        {
            float* mixed = MixedOf(row, panel);
            for (int i = 0; i < Panels.Width; i += Lanes)
                (Vector512.Load(mixed + i) * Vector512.Create(factor)).Store(mixed + i);
        }
    }
}
