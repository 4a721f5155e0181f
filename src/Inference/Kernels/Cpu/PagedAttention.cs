using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>Causal attention of a step's rows over their sequences' cached keys and values, shared among threads by rows and KV heads.</summary>
internal sealed class PagedAttention<T> : IDisposable
    where T : unmanaged, IElement<T>
{
    /// <summary>Rows of one sequence that are one piece of work; a long prompt is shared among threads.</summary>
    private const int PieceRows = 96;

    /// <summary>Decoding sequences for each thread from which one thread takes all KV heads of a sequence, which lie side by side.</summary>
    private const int ManySequences = 4;
    private readonly ModelConfig _config;
    private readonly ComputePool _pool;
    private readonly RowAttention<T>[] _rows;
    private readonly PanelAttention[]? _panels;
    private readonly List<Piece> _pieces = [];

    /// <param name="positions">Longest context.</param>
    public PagedAttention(ModelConfig config, int positions, ComputePool pool)
    {
        _config = config;
        _pool = pool;
        _rows = [.. Enumerable.Range(0, pool.Threads).Select(_ => new RowAttention<T>(config, positions))];
        if (typeof(T) == typeof(Bf16) && PanelAttention.Fits(config))
            _panels = [.. _rows.Select(_ => new PanelAttention(config))];
    }

    /// <param name="window">Positions that a row attends to at most, itself included.</param>
    public void Run(StepInput step, Activation qkv, KvLayer cache, int window, Activation context)
    {
        Cut(step.Sequences);
        _pool.For(_pieces.Count, (index, thread) =>
        {
            var (rows, firstHead, endHead) = _pieces[index];
            if (rows.Rows < PrefillAttention.MinRows)
                _rows[thread].Attend(rows, qkv, cache, window, context, firstHead, endHead);
            else if (_panels is not null)
                _panels[thread].Attend(rows, qkv, cache, window, context, firstHead);
            else
                PrefillAttention.Attend(rows, _config, qkv, cache, window, context, firstHead);
        });
    }

    public void Dispose()
    {
        foreach (RowAttention<T> rows in _rows)
            rows.Dispose();
        foreach (PanelAttention panels in _panels ?? [])
            panels.Dispose();
    }

    /// <summary>Long sequences become several of at least <see cref="PrefillAttention.MinRows"/> rows, each with the context that its last row sees.</summary>
    private void Cut(IReadOnlyList<SequenceRows> sequences)
    {
        _pieces.Clear();
        bool whole = sequences.Count(s => s.Rows < PrefillAttention.MinRows) >= ManySequences * _pool.Threads;
        foreach (SequenceRows sequence in sequences)
        {
            if (whole && sequence.Rows < PrefillAttention.MinRows)
            {
                _pieces.Add(new Piece(sequence, 0, _config.KvHeads));
                continue;
            }

            int parts = _panels is null ? 1 : (sequence.Rows + PieceRows - 1) / PieceRows;
            for (int part = 0; part < parts; part++)
            {
                int begin = sequence.Rows * part / parts, end = sequence.Rows * (part + 1) / parts;
                SequenceRows rows = sequence with { FirstRow = sequence.FirstRow + begin, Rows = end - begin, Context = sequence.Context - sequence.Rows + end };
                for (int head = 0; head < _config.KvHeads; head++)
                    _pieces.Add(new Piece(rows, head, head + 1));
            }
        }
    }

    /// <param name="FirstHead">First KV head; <paramref name="EndHead"/> is behind the last.</param>
    private readonly record struct Piece(SequenceRows Rows, int FirstHead, int EndHead);
}
