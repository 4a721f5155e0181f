using Eigengate.Inference.Sampling;
using Eigengate.Inference.Tokenization;

namespace Eigengate.ComputeNode.Responses;

/// <summary>
/// Collects the four arrays of one choice (spec/http-api.md §5.5). Offsets count code points from the start of the choice
/// and go on over several <see cref="Take"/>s.
/// </summary>
/// <param name="tokenizer">Gives the tokens' texts.</param>
/// <param name="top">Number of most likely tokens per position beside the chosen one.</param>
/// <param name="asTokenIds">Write <c>token_id:{id}</c> for the token's text.</param>
internal sealed class CompletionLogprobsBuilder(Tokenizer tokenizer, int top, bool asTokenIds)
{
    private readonly TokenName _names = new(tokenizer, asTokenIds);
    private List<int> _offsets = [];
    private List<float?> _logprobs = [];
    private List<string> _tokens = [];
    private List<IReadOnlyDictionary<string, float>?> _top = [];
    private int _offset;

    /// <param name="tokenId">The token that stands at the next position.</param>
    /// <param name="scored">Its scores; null where there is no context to score from.</param>
    public void Add(int tokenId, TokenLogprobs? scored)
    {
        string token = _names.Of(tokenId);
        _offsets.Add(_offset);
        _tokens.Add(token);
        _logprobs.Add(scored?.Chosen.Logprob);
        _top.Add(scored is null ? null : TopOf(scored));
        _offset += CodePoints(token);
    }

    /// <summary>What was added since the last call.</summary>
    public CompletionLogprobs Take()
    {
        var taken = new CompletionLogprobs(_offsets, _logprobs, _tokens, _top);
        (_offsets, _logprobs, _tokens, _top) = ([], [], [], []);
        return taken;
    }

    /// <summary>The chosen token first: clients take the first key for it.</summary>
    private OrderedDictionary<string, float> TopOf(TokenLogprobs scored)
    {
        var entries = new OrderedDictionary<string, float> { [_names.Of(scored.Chosen.TokenId)] = scored.Chosen.Logprob };
        foreach (TokenLogprob candidate in scored.Top.Take(top))
        {
            // Two ids can share a text (fragments of characters); the larger value keeps "chosen == max" true.
            string token = _names.Of(candidate.TokenId);
            if (!entries.TryGetValue(token, out float present) || candidate.Logprob > present)
                entries[token] = candidate.Logprob;
        }

        return entries;
    }

    private static int CodePoints(string text)
    {
        int count = 0;
        foreach (System.Text.Rune _ in text.EnumerateRunes())
            count++;
        return count;
    }
}
