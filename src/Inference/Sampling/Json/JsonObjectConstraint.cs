using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Sampling.Json;

/// <summary>
/// Keeps the output of one sequence a JSON object (spec/http-api.md §9, <c>json_object</c>): step 1 of §7.1. White space may
/// precede the object, nothing follows it, and only then may the sequence end. Not thread-safe.
/// </summary>
/// <param name="tokenizer">Gives the bytes of each token; special tokens are never part of the object.</param>
/// <param name="endIds">Tokens that may end the sequence once the object is complete.</param>
public sealed class JsonObjectConstraint(Tokenizer tokenizer, IReadOnlyList<int> endIds)
{
    private readonly SortedTokens _tokens = tokenizer.SortedTokens;
    private readonly JsonState[] _path = new JsonState[tokenizer.SortedTokens.LongestToken + 1];
    private JsonState _state;

    public bool IsComplete => _state.IsComplete;

    /// <summary>Copies the logits of the tokens that are possible next; all others become −∞.</summary>
    public void Mask(ReadOnlySpan<float> logits, Span<float> masked)
    {
        masked.Fill(float.NegativeInfinity);
        if (IsComplete)
        {
            foreach (var id in endIds)
                masked[id] = logits[id];
            return;
        }

        // Neighbours in the sorted vocabulary share prefixes: _path[n] is the state after n bytes of the last token.
        _path[0] = _state;
        var reached = 0;
        for (var i = 0; i < _tokens.Count; i++)
        {
            var shared = _tokens.SharedPrefix(i);
            if (shared > reached)
                continue;
            var id = _tokens.Id(i);
            var bytes = tokenizer.TokenBytes(id);
            for (reached = shared; reached < bytes.Length; reached++)
            {
                var next = _path[reached];
                if (!next.Advance(bytes[reached]))
                    break;
                _path[reached + 1] = next;
            }

            if (reached == bytes.Length && id < masked.Length)
                masked[id] = logits[id];
        }
    }

    /// <summary>Takes the chosen token; false, changing nothing, when it is neither possible nor an end of a complete object.</summary>
    public bool Accept(int tokenId)
    {
        if (IsComplete)
            return endIds.Contains(tokenId);
        var bytes = tokenizer.TokenBytes(tokenId);
        if (bytes.IsEmpty || tokenizer.IsSpecial(tokenId))
            return false;
        var next = _state;
        foreach (var value in bytes)
        {
            if (!next.Advance(value))
                return false;
        }

        _state = next;
        return true;
    }
}
