using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// Which tokens keep a text within a grammar: the masks of its states over one vocabulary, found when first needed and
/// kept within a bound of memory. Made once for all requests with the same constraint; safe for concurrent use.
/// </summary>
public sealed class TokenMasks
{
    /// <summary>Bytes of states and masks kept.</summary>
    private const long MaxBytes = 16 << 20;

    /// <summary>
    /// Bounds the time of one mask (some tens of milliseconds): positions in the different states that its tokens lead to.
    /// A state that needs more offers single bytes and the tokens found by then, and the text still satisfies the grammar.
    /// </summary>
    private const int MaxWork = 100_000;

    private readonly Tokenizer _tokenizer;
    private readonly SortedTokens _tokens;
    private readonly PushdownAutomaton _automaton;
    private int _search;

    /// <exception cref="ConstraintException">No token of the vocabulary begins a text of the grammar.</exception>
    public TokenMasks(Grammar grammar, Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _tokens = tokenizer.SortedTokens;
        _automaton = new PushdownAutomaton(grammar, MaxBytes);
        if (!Mask(Start).AsSpan().ContainsAnyExcept(0UL) && !Start.Accepts)
            throw new ConstraintException("the model has no token that begins such a text");
    }

    internal PushdownState Start => _automaton.Start;

    /// <summary>The state after a token; null when the token is not possible.</summary>
    internal PushdownState? Next(PushdownState state, int tokenId)
    {
        var bytes = _tokenizer.TokenBytes(tokenId);
        if (bytes.IsEmpty || _tokenizer.IsSpecial(tokenId))
            return null;
        var next = state;
        foreach (var value in bytes)
        {
            next = _automaton.Next(next, value);
            if (next is null)
                return null;
        }

        return next;
    }

    /// <summary>One bit for each token that may follow; bit i of word w is token 64 w + i.</summary>
    internal ulong[] Mask(PushdownState state)
    {
        if (state.Mask is { } known)
            return known;
        var mask = Find(state);
        _automaton.Keep(state, mask);
        return mask;
    }

    private ulong[] Find(PushdownState state)
    {
        var mask = new ulong[(_tokenizer.VocabularySize + 63) / 64];
        var search = Interlocked.Increment(ref _search);
        // Neighbours in the sorted vocabulary share prefixes: path[n] is the state after n bytes of the last token.
        var path = new PushdownState[_tokens.LongestToken + 1];
        path[0] = state;
        var work = 0;
        for (var i = 0; i < _tokens.Count;)
        {
            if (work > MaxWork)
            {
                AddSingleBytes(state, mask);
                break;
            }

            var bytes = _tokens.Bytes(i);
            var reached = _tokens.SharedPrefix(i);
            while (reached < bytes.Length && _automaton.Next(path[reached], bytes[reached]) is { } next)
            {
                path[++reached] = next;
                if (next.LastSearch == search)
                    continue;
                next.LastSearch = search;
                work += next.Positions.Length;
            }

            if (reached < bytes.Length)
            {
                i = _tokens.NextSharingAtMost(i + 1, reached);
                continue;
            }

            var id = _tokens.Id(i++);
            mask[id / 64] |= 1UL << id;
        }

        return mask;
    }

    private void AddSingleBytes(PushdownState state, ulong[] mask)
    {
        foreach (var id in _tokens.SingleBytes)
        {
            if (_automaton.Next(state, _tokenizer.TokenBytes(id)[0]) is not null)
                mask[id / 64] |= 1UL << id;
        }
    }
}
