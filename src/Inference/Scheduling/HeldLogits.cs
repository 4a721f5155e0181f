namespace Eigengate.Inference.Scheduling;

/// <summary>
/// Sequences that were computed before their output constraint knew the next mask. Their logits are kept, the steps go on
/// without them, and nothing is computed twice. Engine thread only.
/// </summary>
internal sealed class HeldLogits
{
    private readonly List<(Sequence Sequence, float[] Logits)> _held = [];
    private readonly List<(Sequence Sequence, float[] Logits)> _ready = [];

    public void Hold(Sequence sequence, ReadOnlySpan<float> logits) => _held.Add((sequence, logits.ToArray()));

    /// <summary>Lets go of those that can be sampled now. Valid until the next call.</summary>
    public IReadOnlyList<(Sequence Sequence, float[] Logits)> TakeReady()
    {
        _ready.Clear();
        // A sequence that ended needs no logits, and one that was preempted gets others.
        _held.RemoveAll(held => held.Sequence.Status != SequenceStatus.Running || held.Sequence.Remaining > 0);
        _held.RemoveAll(held =>
        {
            var ready = held.Sequence.Sampler.IsReady;
            if (ready)
                _ready.Add(held);
            return ready;
        });
        return _ready;
    }

    /// <summary>Waits a moment for the sequence that waits longest; false when none does.</summary>
    public bool Wait()
    {
        if (_held.Count == 0)
            return false;
        _held[0].Sequence.Sampler.Wait(TimeSpan.FromMilliseconds(1));
        return true;
    }
}
