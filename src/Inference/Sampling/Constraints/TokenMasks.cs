using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// Which tokens keep a text within a grammar: the masks of its states over one vocabulary, found when first needed and
/// kept within a bound of memory. Made once for all requests with the same constraint; safe for concurrent use.
/// </summary>
public sealed class TokenMasks
{
    /// <summary>Bytes of masks kept; beyond it all are forgotten.</summary>
    private const int MaxBytes = 16 << 20;

    /// <summary>
    /// Bounds the time of one mask (some tenths of a second). Where a state needs more, only the tokens found by then are
    /// offered, single bytes first: the text still satisfies the grammar.
    /// </summary>
    private const long MaxWork = 2_000_000;

    private readonly Lock _lock = new();
    private readonly Tokenizer _tokenizer;
    private readonly SortedTokens _tokens;
    private readonly int[] _singleBytes;
    private readonly PushdownStates _states;
    private readonly List<PushdownStates.State> _masked = [];

    /// <exception cref="ConstraintException">No token of the vocabulary begins a text of the grammar.</exception>
    public TokenMasks(Grammar grammar, Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _tokens = tokenizer.SortedTokens;
        _singleBytes = [.. Enumerable.Range(0, _tokens.Count).Select(_tokens.Id).Where(id => tokenizer.TokenBytes(id).Length == 1)];
        _states = new PushdownStates(grammar);
        var work = _states.Work;
        if (!Mask(_states.Start).AsSpan().ContainsAnyExcept(0UL) && !_states.Start.Accepts)
            throw new ConstraintException("the model has no token that begins such a text");
        if (_states.Work - work > MaxWork || _states.IsNarrowed)
            throw new ConstraintException("it is too complex: its first token alone takes too long to choose");
    }

    internal PushdownStates.State Start => _states.Start;

    /// <summary>The state after a token; null when the token is not possible.</summary>
    internal PushdownStates.State? Next(PushdownStates.State state, int tokenId)
    {
        var bytes = _tokenizer.TokenBytes(tokenId);
        if (bytes.IsEmpty || _tokenizer.IsSpecial(tokenId))
            return null;
        lock (_lock)
        {
            var next = state;
            foreach (var value in bytes)
            {
                next = _states.Next(next, value);
                if (next is null)
                    return null;
            }

            return next;
        }
    }

    /// <summary>One bit for each token that may follow; bit i of word w is token 64 w + i.</summary>
    internal ulong[] Mask(PushdownStates.State state)
    {
        lock (_lock)
        {
            if (state.Mask is { } known)
                return known;
            if ((long)_masked.Count * _tokenizer.VocabularySize / 8 > MaxBytes)
            {
                foreach (var masked in _masked)
                    masked.Mask = null;
                _masked.Clear();
            }

            _masked.Add(state);
            return state.Mask = FindMask(state);
        }
    }

    private ulong[] FindMask(PushdownStates.State state)
    {
        var mask = new ulong[(_tokenizer.VocabularySize + 63) / 64];
        foreach (var id in _singleBytes)
        {
            if (_states.Next(state, _tokenizer.TokenBytes(id)[0]) is not null)
                mask[id / 64] |= 1UL << id;
        }

        // Neighbours in the sorted vocabulary share prefixes: path[n] is the state after n bytes of the last token.
        var path = new PushdownStates.State[_tokens.LongestToken + 1];
        path[0] = state;
        var reached = 0;
        var limit = _states.Work + MaxWork;
        for (var i = 0; i < _tokens.Count && _states.Work <= limit; i++)
        {
            var shared = _tokens.SharedPrefix(i);
            if (shared > reached)
                continue;
            var id = _tokens.Id(i);
            var bytes = _tokenizer.TokenBytes(id);
            for (reached = shared; reached < bytes.Length; reached++)
            {
                if (_states.Next(path[reached], bytes[reached]) is not { } next)
                    break;
                path[reached + 1] = next;
            }

            if (reached == bytes.Length)
                mask[id / 64] |= 1UL << id;
        }

        return mask;
    }
}
