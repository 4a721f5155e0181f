using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;

namespace Eigengate.Inference.Scheduling;

/// <summary>One sequence's rows in a step.</summary>
/// <param name="Blocks">Its KV blocks.</param>
/// <param name="FirstRow">Its first row.</param>
/// <param name="Rows">Number of rows: query tokens.</param>
/// <param name="Context">Tokens the last row attends to, itself included; the first row attends to Rows − 1 fewer.</param>
internal readonly record struct SequenceRows(KvBlockTable Blocks, int FirstRow, int Rows, int Context);

/// <summary>
/// A step as the model sees it: one flat batch of tokens, prefill and decode mixed. Rows of one sequence are
/// consecutive, and sequences of one adapter cluster follow each other, therein those of one adapter. Reused from step to step.
/// </summary>
internal sealed class StepInput(int maxRows)
{
    private readonly List<SequenceRows> _sequences = [];
    private readonly List<ClusterSegment> _segments = [];
    private readonly List<int> _logitRows = [];
    private readonly List<PrivateSegment> _privateSegments = [];

    /// <summary>Tokens in the step.</summary>
    public int Rows { get; private set; }

    /// <summary>[rows]</summary>
    public int[] TokenIds { get; } = new int[maxRows];

    /// <summary>[rows], token position in its sequence.</summary>
    public int[] Positions { get; } = new int[maxRows];

    /// <summary>[rows], where the row's key and value go: block id · block size + offset.</summary>
    public int[] SlotMapping { get; } = new int[maxRows];

    /// <summary>[rows], adapter slot of the row; unspecified outside of <see cref="Segments"/>.</summary>
    public int[] AdapterSlot { get; } = new int[maxRows];

    public IReadOnlyList<SequenceRows> Sequences => _sequences;

    /// <summary>Rows with an adapter that has cores, by cluster.</summary>
    public IReadOnlyList<ClusterSegment> Segments => _segments;

    /// <summary>Rows with an adapter that has private parts, by adapter. A row may be in a segment of either kind, of both, or of none.</summary>
    public IReadOnlyList<PrivateSegment> PrivateSegments => _privateSegments;

    /// <summary>Rows whose logits are wanted, ascending.</summary>
    public IReadOnlyList<int> LogitRows => _logitRows;

    public void Clear()
    {
        Rows = 0;
        _sequences.Clear();
        _segments.Clear();
        _privateSegments.Clear();
        _logitRows.Clear();
    }

    /// <summary>Adds a sequence's next tokens; sequences of one cluster must come in one run.</summary>
    /// <param name="allLogits">Want the logits of every row, not only of the last.</param>
    /// <param name="lastLogits">Want the logits of the last row.</param>
    public void Add(ScheduledSequence scheduled, bool allLogits, bool lastLogits)
    {
        var (sequence, tokens) = scheduled;
        int firstRow = Rows;
        for (int i = 0; i < tokens; i++)
        {
            int position = sequence.Computed + i;
            TokenIds[Rows] = sequence.Tokens[position];
            Positions[Rows] = position;
            SlotMapping[Rows] = sequence.Blocks.Slot(position);
            AdapterSlot[Rows] = sequence.AdapterSlot;
            if (allLogits || (lastLogits && i == tokens - 1))
                _logitRows.Add(Rows);
            Rows++;
        }

        _sequences.Add(new SequenceRows(sequence.Blocks, firstRow, tokens, sequence.Computed + tokens));
        PrivateParts? parts = sequence.PrivateParts;
        if (sequence.Cluster is { } cluster)
            AddToSegment(cluster, firstRow, tokens, parts is { Layout.HasCoreGains: true } ? parts : null);
        if (parts is not null)
            AddToSegment(parts, firstRow, tokens);
    }

    private void AddToSegment(ResidentCluster cluster, int firstRow, int tokens, PrivateParts? scaled)
    {
        if (_segments is [.., var last] && ReferenceEquals(last.Cluster, cluster) && ReferenceEquals(last.Scaled, scaled) && last.Start + last.Count == firstRow)
            _segments[^1] = last with { Count = last.Count + tokens };
        else
            _segments.Add(new ClusterSegment(cluster, firstRow, tokens, scaled));
    }

    private void AddToSegment(PrivateParts parts, int firstRow, int tokens)
    {
        if (_privateSegments is [.., var last] && ReferenceEquals(last.Parts, parts) && last.Start + last.Count == firstRow)
            _privateSegments[^1] = last with { Count = last.Count + tokens };
        else
            _privateSegments.Add(new PrivateSegment(parts, firstRow, tokens));
    }
}
