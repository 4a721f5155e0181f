using System.Numerics;
using System.Runtime.ExceptionServices;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// Where one sequence stands in its constraint: step 1 of spec/http-api.md §7.1. Belongs to one thread; the next mask is
/// found on another.
/// </summary>
internal sealed class ConstraintCursor
{
    private readonly TokenMasks _masks;
    private readonly int _eosId;
    private readonly int[] _endIds;
    private readonly object _finding = new();
    private readonly Action _findMask;
    private PushdownState _state;
    private ulong[] _mask = [];
    private ExceptionDispatchInfo? _failure;
    private volatile bool _ready;
    private bool _ended;

    /// <param name="masks">Shared by all sequences with this constraint.</param>
    /// <param name="eosId">Ends the sequence where nothing can follow the text.</param>
    /// <param name="endIds">Tokens that end the sequence; possible only where the text so far satisfies the constraint.</param>
    public ConstraintCursor(TokenMasks masks, int eosId, IEnumerable<int> endIds)
    {
        (_masks, _eosId, _endIds) = (masks, eosId, [.. endIds]);
        _findMask = FindMask;
        _state = masks.Start;
        Require(_state);
    }

    /// <summary>Whether the text so far satisfies the constraint.</summary>
    public bool CanEnd => _state.Accepts;

    /// <summary>Whether <see cref="Mask"/> returns without waiting.</summary>
    public bool IsReady => _ready;

    /// <summary>Waits until the mask is there; false when it took longer.</summary>
    public bool Wait(TimeSpan most)
    {
        lock (_finding)
            return _ready || (Monitor.Wait(_finding, most) && _ready);
    }

    /// <summary>Copies the logits of the tokens that are possible next; all others become −∞.</summary>
    /// <returns>Whether the text is complete and nothing can follow it, so that only its end is possible.</returns>
    public bool Mask(ReadOnlySpan<float> logits, Span<float> masked)
    {
        Wait(Timeout.InfiniteTimeSpan);
        _failure?.Throw();
        masked.Fill(float.NegativeInfinity);
        var continues = !_ended && CopyAllowed(_mask, logits, masked);
        foreach (var id in _endIds)
            masked[id] = CanEnd ? logits[id] : float.NegativeInfinity;
        if (CanEnd && !continues)
            masked[_eosId] = logits[_eosId];
        return CanEnd && !continues;
    }

    /// <summary>Takes the chosen token; false, changing nothing, when it is neither possible nor an end of a complete text.</summary>
    public bool Accept(int tokenId)
    {
        if (CanEnd && (tokenId == _eosId || _endIds.Contains(tokenId)))
            return _ended = true;
        if (_ended || _endIds.Contains(tokenId) || _masks.Next(_state, tokenId) is not { } next)
            return false;
        Require(next);
        return true;
    }

    /// <summary>Finds the mask of the current state. Not for the thread that the cursor belongs to.</summary>
    private void FindMask()
    {
        PushdownState state;
        lock (_finding)
            state = _state;
        ulong[] mask = [];
        ExceptionDispatchInfo? failure = null;
        try
        {
            mask = _masks.Mask(state);
        }
        catch (Exception e)
        {
            failure = ExceptionDispatchInfo.Capture(e);
        }

        lock (_finding)
        {
            // The owner may have gone on without asking for this mask.
            if (state != _state)
                return;
            (_mask, _failure, _ready) = (mask, failure, true);
            Monitor.PulseAll(_finding);
        }
    }

    private void Require(PushdownState state)
    {
        lock (_finding)
        {
            _state = state;
            var known = state.Mask;
            (_mask, _ready) = (known ?? [], known is not null);
            if (_ready)
                return;
        }

        MaskThread.Enqueue(_findMask);
    }

    /// <summary>False when there is none.</summary>
    private static bool CopyAllowed(ulong[] mask, ReadOnlySpan<float> logits, Span<float> masked)
    {
        var any = false;
        for (var word = 0; word < mask.Length && word * 64 < logits.Length; word++)
        {
            var from = word * 64;
            var bits = mask[word];
            if (from + 64 > logits.Length)
                bits &= (1UL << (logits.Length - from)) - 1;
            any |= bits != 0;
            if (bits == ulong.MaxValue)
            {
                logits.Slice(from, 64).CopyTo(masked[from..]);
                continue;
            }

            for (; bits != 0; bits &= bits - 1)
            {
                var id = from + BitOperations.TrailingZeroCount(bits);
                masked[id] = logits[id];
            }
        }

        return any;
    }
}
