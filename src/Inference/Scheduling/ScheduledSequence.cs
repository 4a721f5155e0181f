namespace Eigengate.Inference.Scheduling;

/// <summary>A sequence's share of one step: its next <paramref name="Tokens"/> uncomputed tokens.</summary>
internal readonly record struct ScheduledSequence(Sequence Sequence, int Tokens)
{
    /// <summary>After this step the model has seen all tokens, so the next one can be chosen.</summary>
    public bool ReachesEnd => Tokens == Sequence.Remaining;
}
