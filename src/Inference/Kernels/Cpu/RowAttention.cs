using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// Attention of single rows, as decoding needs it: bound by reading keys and values, so these are fetched ahead, and widened once
/// for all query heads that share them. Working memory of one thread.
/// </summary>
internal sealed unsafe class RowAttention<T> : IDisposable
    where T : unmanaged, IElement<T>
{
    private const int Lanes = 16;
    private const int LineBytes = 64;

    /// <summary>Positions widened at a time: these stay in the first-level cache.</summary>
    private const int Strip = 16;
    private readonly ModelConfig _config;
    private readonly int _share;
    private readonly int _pitch;
    private readonly float* _query;
    private readonly float* _mixed;
    private readonly float* _scores;
    private readonly float* _strip;

    /// <param name="positions">Longest context.</param>
    public RowAttention(ModelConfig config, int positions)
    {
        _config = config;
        _share = config.Heads / config.KvHeads;
        _pitch = (positions + Lanes - 1) / Lanes * Lanes;
        _query = Floats(_share * config.HeadDim);
        _mixed = Floats(_share * config.HeadDim);
        _scores = Floats(_share * _pitch);
        _strip = Floats(Strip * config.HeadDim);
    }

    /// <summary>Attention of the query heads of some KV heads, row by row.</summary>
    /// <param name="window">Positions that a row attends to at most, itself included.</param>
    /// <param name="firstHead">First KV head; <paramref name="endHead"/> is behind the last.</param>
    public void Attend(in SequenceRows sequence, Activation qkv, KvLayer cache, int window, Activation context, int firstHead, int endHead)
    {
        for (int i = 0; i < sequence.Rows; i++)
        {
            int end = sequence.Context - sequence.Rows + i + 1;
            long row = sequence.FirstRow + i;
            T* query = (T*)qkv.Address + (row * qkv.Width), result = (T*)context.Address + (row * context.Width);
            for (int head = firstHead; head < endHead; head++)
                AttendGroup(sequence.Blocks, Math.Max(0, end - window), end, head, head == firstHead ? endHead - firstHead : 0, query, cache, result);
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_query);
        NativeMemory.AlignedFree(_mixed);
        NativeMemory.AlignedFree(_scores);
        NativeMemory.AlignedFree(_strip);
    }

    private static float* Floats(int count) => (float*)NativeMemory.AlignedAlloc((nuint)Math.Max(count, Lanes) * sizeof(float), LineBytes);

    /// <summary>The query heads that share one KV head, over positions [begin, end).</summary>
    /// <param name="fetched">KV heads, from this one on, to fetch from memory meanwhile.</param>
    private void AttendGroup(KvBlockTable table, int begin, int end, int kvHead, int fetched, T* query, KvLayer cache, T* context)
    {
        int width = _config.HeadDim;
        long stride = _config.KvWidth, column = (long)kvHead * width;
        T* keys = (T*)cache.KeyAddress + column, values = (T*)cache.ValueAddress + column;
        query += kvHead * _share * width;
        context += kvHead * _share * width;
        Scale(query, 1 / MathF.Sqrt(width), (F32*)_query, _share * width);
        new Span<float>(_mixed, _share * width).Clear();
        int fetchedBytes = fetched * width * sizeof(T);
        for (int from = begin, to; from < end; from = to)
        {
            long slot = Slot(table, from, end, out to);
            if (fetched > 0)
            {
                // The values of these positions come after all keys; the keys of the next ones come now.
                Fetch(values + (slot * stride), stride, to - from, fetchedBytes);
                if (to < end)
                    Fetch(keys + (Slot(table, to, end, out int next) * stride), stride, next - to, fetchedBytes);
            }

            Score(keys + (slot * stride), from - begin, to - from);
        }

        float* sums = stackalloc float[_share];
        for (int head = 0; head < _share; head++)
            sums[head] = CpuAttention.Exponentiate(_scores + (head * _pitch), end - begin);
        for (int from = begin, to; from < end; from = to)
            Mix(values + (Slot(table, from, end, out to) * stride), from - begin, to - from);
        for (int head = 0; head < _share; head++)
            Scale((F32*)_mixed + (head * width), 1 / sums[head], context + (head * width), width);
    }

    /// <summary>Where a position lies, and how far the positions after it follow: to the end of its block or strip.</summary>
    private static long Slot(KvBlockTable table, int from, int end, out int to)
    {
        int block = from / table.BlockSize;
        to = Math.Min(Math.Min(end, (block + 1) * table.BlockSize), from + Strip);
        return ((long)(table.Blocks[block] - block) * table.BlockSize) + from;
    }

    private static void Fetch(T* first, long stride, int positions, int bytes)
    {
        if (!Sse.IsSupported)
            return;
        for (int p = 0; p < positions; p++)
        {
            byte* position = (byte*)(first + (p * stride));
            for (int i = 0; i < bytes; i += LineBytes)
                Sse.Prefetch1(position + i);
        }
    }

    /// <summary>Scores of positions that follow each other, for every head of the group.</summary>
    private void Score(T* keys, int at, int positions)
    {
        int width = _config.HeadDim;
        float* wide = Widen(keys, positions, out nint stride);
        for (int head = 0; head < _share; head++)
            CpuAttention.Scores(_query + (head * width), (F32*)wide, stride, width, positions, _scores + (head * _pitch) + at);
    }

    private void Mix(T* values, int at, int positions)
    {
        int width = _config.HeadDim;
        float* wide = Widen(values, positions, out nint stride);
        for (int head = 0; head < _share; head++)
            CpuAttention.Mix(_scores + (head * _pitch) + at, (F32*)wide, stride, width, positions, _mixed + (head * width));
    }

    /// <summary>Keys or values of this KV head as float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float* Widen(T* source, int positions, out nint stride)
    {
        stride = _config.KvWidth;
        if (typeof(T) == typeof(F32))
            return (float*)source;
        int width = _config.HeadDim;
        for (int p = 0; p < positions; p++)
        {
            T* from = source + (p * stride);
            float* to = _strip + (p * width);
            int i = 0;
            for (; i + Lanes <= width; i += Lanes)
                T.Load(from + i).Store(to + i);
            for (; i < width; i++)
                to[i] = T.Read(from + i);
        }

        stride = width;
        return _strip;
    }

    /// <summary>target = factor · source, in another type.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale<TFrom, TTo>(TFrom* source, float factor, TTo* target, int count)
        where TFrom : unmanaged, IElement<TFrom>
        where TTo : unmanaged, IElement<TTo>
    {
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
            TTo.Store(target + i, TFrom.Load(source + i) * Vector512.Create(factor));
        for (; i < count; i++)
            TTo.Write(target + i, TFrom.Read(source + i) * factor);
    }
}
