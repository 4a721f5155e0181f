using System.Runtime.InteropServices;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>Causal attention of a step's rows over their sequences' cached keys and values, shared among threads by rows and KV heads.</summary>
internal sealed unsafe class PagedAttention<T> : IDisposable
    where T : unmanaged, IElement<T>
{
    /// <summary>Rows of one sequence that are one piece of work; a long prompt is shared among threads.</summary>
    private const int PieceRows = 96;
    private readonly ModelConfig _config;
    private readonly ComputePool _pool;
    private readonly Scratch[] _scratch;
    private readonly PanelAttention[]? _panels;
    private readonly List<SequenceRows> _pieces = [];

    /// <param name="positions">Longest context.</param>
    public PagedAttention(ModelConfig config, int positions, ComputePool pool)
    {
        _config = config;
        _pool = pool;
        _scratch = [.. Enumerable.Range(0, pool.Threads).Select(_ => new Scratch(config.HeadDim, positions))];
        if (typeof(T) == typeof(Bf16) && PanelAttention.Fits(config))
            _panels = [.. _scratch.Select(_ => new PanelAttention(config))];
    }

    /// <param name="window">Positions that a row attends to at most, itself included.</param>
    public void Run(StepInput step, Activation qkv, KvLayer cache, int window, Activation context)
    {
        int heads = _config.KvHeads;
        Cut(step.Sequences);
        _pool.For(_pieces.Count * heads, (piece, thread) =>
        {
            SequenceRows rows = _pieces[piece / heads];
            if (rows.Rows < PrefillAttention.MinRows)
                AttendRows(rows, piece % heads, qkv, cache, window, context, _scratch[thread]);
            else if (_panels is not null)
                _panels[thread].Attend(rows, qkv, cache, window, context, piece % heads);
            else
                PrefillAttention.Attend(rows, _config, qkv, cache, window, context, piece % heads);
        });
    }

    public void Dispose()
    {
        foreach (Scratch scratch in _scratch)
            scratch.Dispose();
        foreach (PanelAttention panels in _panels ?? [])
            panels.Dispose();
    }

    /// <summary>Long sequences become several of at least <see cref="PrefillAttention.MinRows"/> rows, each with the context that its last row sees.</summary>
    private void Cut(IReadOnlyList<SequenceRows> sequences)
    {
        _pieces.Clear();
        foreach (SequenceRows sequence in sequences)
        {
            int parts = _panels is null ? 1 : (sequence.Rows + PieceRows - 1) / PieceRows;
            for (int part = 0; part < parts; part++)
            {
                int begin = sequence.Rows * part / parts, end = sequence.Rows * (part + 1) / parts;
                _pieces.Add(sequence with { FirstRow = sequence.FirstRow + begin, Rows = end - begin, Context = sequence.Context - sequence.Rows + end });
            }
        }
    }

    private void AttendRows(in SequenceRows sequence, int kvHead, Activation qkv, KvLayer cache, int window, Activation context, Scratch scratch)
    {
        int share = _config.Heads / _config.KvHeads;
        for (int i = 0; i < sequence.Rows; i++)
        {
            int end = sequence.Context - sequence.Rows + i + 1;
            long row = sequence.FirstRow + i;
            T* query = (T*)qkv.Address + (row * qkv.Width), result = (T*)context.Address + (row * context.Width);
            for (int head = kvHead * share; head < (kvHead + 1) * share; head++)
                AttendHead(sequence, Math.Max(0, end - window), end, head, query, cache, result, scratch);
        }
    }

    /// <summary>Attention of one head over positions [begin, end).</summary>
    private void AttendHead(in SequenceRows sequence, int begin, int end, int head, T* query, KvLayer cache, T* context, Scratch scratch)
    {
        int width = _config.HeadDim, stride = _config.KvWidth, blockSize = sequence.Blocks.BlockSize;
        long column = (long)(head / (_config.Heads / _config.KvHeads)) * width;
        float scale = 1 / MathF.Sqrt(width);
        float* scaled = scratch.Query, mixed = scratch.Mixed, scores = scratch.Scores;
        for (int i = 0; i < width; i++)
        {
            scaled[i] = T.Read(query + (head * width) + i) * scale;
            mixed[i] = 0;
        }

        ReadOnlySpan<int> blocks = sequence.Blocks.Blocks;
        for (int b = begin / blockSize; b * blockSize < end; b++)
        {
            int from = Math.Max(begin, b * blockSize), to = Math.Min(end, (b + 1) * blockSize);
            long slot = ((long)(blocks[b] - b) * blockSize) + from;
            CpuAttention.Scores(scaled, (T*)cache.KeyAddress + (slot * stride) + column, stride, width, to - from, scores + from - begin);
        }

        float sum = CpuAttention.Exponentiate(scores, end - begin);
        for (int b = begin / blockSize; b * blockSize < end; b++)
        {
            int from = Math.Max(begin, b * blockSize), to = Math.Min(end, (b + 1) * blockSize);
            long slot = ((long)(blocks[b] - b) * blockSize) + from;
            CpuAttention.Mix(scores + from - begin, (T*)cache.ValueAddress + (slot * stride) + column, stride, width, to - from, mixed);
        }

        for (int i = 0; i < width; i++)
            T.Write(context + (head * width) + i, mixed[i] / sum);
    }

    /// <summary>What one thread needs for one head.</summary>
    private sealed class Scratch(int headDim, int positions) : IDisposable
    {
        public float* Query { get; } = Floats(headDim);

        public float* Mixed { get; } = Floats(headDim);

        public float* Scores { get; } = Floats(positions);

        public void Dispose()
        {
            NativeMemory.AlignedFree(Query);
            NativeMemory.AlignedFree(Mixed);
            NativeMemory.AlignedFree(Scores);
        }

        private static float* Floats(int count) => (float*)NativeMemory.AlignedAlloc((nuint)Math.Max(count, 16) * sizeof(float), 64);
    }
}
