namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Where one sequence stands in its constraint: step 1 of spec/http-api.md §7.1. Not thread-safe.</summary>
/// <param name="masks">Shared by all sequences with this constraint.</param>
/// <param name="endIds">Tokens that may end the sequence where the text so far satisfies the constraint.</param>
internal sealed class ConstraintCursor(TokenMasks masks, IReadOnlyList<int> endIds)
{
    private PushdownStates.State _state = masks.Start;
    private bool _ended;

    /// <summary>Whether the text so far satisfies the constraint.</summary>
    public bool CanEnd => _state.Accepts;

    /// <summary>Copies the logits of the tokens that are possible next; all others become −∞.</summary>
    public void Mask(ReadOnlySpan<float> logits, Span<float> masked)
    {
        masked.Fill(float.NegativeInfinity);
        if (!_ended)
            CopyAllowed(masks.Mask(_state), logits, masked);
        if (!CanEnd)
            return;
        foreach (var id in endIds)
            masked[id] = logits[id];
    }

    /// <summary>Takes the chosen token; false, changing nothing, when it is neither possible nor an end of a complete text.</summary>
    public bool Accept(int tokenId)
    {
        if (!_ended && masks.Next(_state, tokenId) is { } next)
        {
            _state = next;
            // The next mask is found while the model computes.
            if (next.Mask is null)
                ThreadPool.UnsafeQueueUserWorkItem(state => masks.Mask(state), next, preferLocal: false);
            return true;
        }

        var ends = CanEnd && endIds.Contains(tokenId);
        _ended |= ends;
        return ends;
    }

    private static void CopyAllowed(ulong[] mask, ReadOnlySpan<float> logits, Span<float> masked)
    {
        for (var word = 0; word < mask.Length && word * 64 < logits.Length; word++)
        {
            var from = word * 64;
            var bits = mask[word];
            if (bits == ulong.MaxValue && from + 64 <= logits.Length)
            {
                logits.Slice(from, 64).CopyTo(masked[from..]);
                continue;
            }

            for (; bits != 0; bits &= bits - 1)
            {
                var id = from + System.Numerics.BitOperations.TrailingZeroCount(bits);
                if (id < logits.Length)
                    masked[id] = logits[id];
            }
        }
    }
}
