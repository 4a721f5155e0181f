using System.Collections;

namespace Eigengate.Inference.Scheduling;

/// <summary>
/// Sequences that wait to run, and whose turn it is: preempted ones first; then by priority, the smallest number first;
/// within a priority the caller, and of its adapters the one, that had the fewest tokens so far. Every sixteenth
/// admission goes to whoever has waited longest, so that nobody waits forever behind better priorities.
/// </summary>
internal sealed class WaitingQueue : IReadOnlyCollection<Sequence>
{
    /// <summary>Admissions of which the last is by age alone.</summary>
    public const int Round = 16;

    private readonly LinkedList<Sequence> _preempted = new();
    private readonly LinkedList<Sequence> _arrived = new();
    private readonly FairShare _shares = FairShare.CreateRoot();
    private int _admissions;

    public int Count => _preempted.Count + _arrived.Count;

    /// <summary>Callers with a sequence that waits or runs.</summary>
    public int Shares => _shares.Parts;

    /// <summary>A sequence that was never here before.</summary>
    public void Add(Sequence sequence)
    {
        sequence.Share = _shares.Join(sequence.Caller).Join(sequence.Request.Adapter?.Id ?? "");
        _arrived.AddLast(sequence);
    }

    /// <summary>A sequence that ran and lost its blocks.</summary>
    public void PutBack(Sequence sequence) => _preempted.AddFirst(sequence);

    /// <summary>Whose turn it is; null when nobody waits.</summary>
    public Sequence? Peek()
    {
        if (_preempted.First is { } preempted)
            return preempted.Value;
        if (_arrived.First is not { } oldest || _admissions % Round == Round - 1)
            return _arrived.First?.Value;
        Sequence best = oldest.Value;
        foreach (Sequence other in _arrived)
        {
            if (IsBefore(other, best))
                best = other;
        }

        return best;
    }

    /// <summary>Takes out a sequence that begins to run and charges the tokens to compute to its share.</summary>
    public void Admit(Sequence sequence)
    {
        // Being preempted was not its fault, so it costs neither tokens nor a turn.
        if (_preempted.Remove(sequence))
            return;
        Remove(sequence);
        _admissions++;
        sequence.Share!.Charge(sequence.Remaining);
    }

    /// <summary>Takes out a sequence that will not run.</summary>
    public void Remove(Sequence sequence)
    {
        if (!_preempted.Remove(sequence) && !_arrived.Remove(sequence))
            throw new InvalidOperationException($"sequence '{sequence.Request.Id}' does not wait");
    }

    /// <summary>Settles the share of a sequence that ended, wherever it stood.</summary>
    public static void Settle(Sequence sequence)
    {
        sequence.Share!.Charge(sequence.Generated);
        sequence.Share.Leave();
    }

    public IEnumerator<Sequence> GetEnumerator() => _preempted.Concat(_arrived).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static bool IsBefore(Sequence a, Sequence b)
    {
        int order = a.Request.Priority.CompareTo(b.Request.Priority);
        if (order == 0)
            order = a.Share!.CompareTo(b.Share!);
        return order < 0;
    }
}
