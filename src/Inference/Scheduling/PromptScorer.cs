using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Scheduling;

/// <summary>Collects one prompt's scores over the chunks of its prefill; positions that come again after preemption count once.</summary>
internal sealed class PromptScorer(IReadOnlyList<int> prompt, int top)
{
    private readonly List<TokenLogprobs?> _scores = [null];
    private bool _reported;

    public bool Done => _scores.Count == prompt.Count;

    /// <summary>Leading positions whose logits were used.</summary>
    public int Scored => _scores.Count - 1;

    /// <param name="position">Position of the token the logits follow; they score the next prompt token.</param>
    /// <param name="logits">[vocabulary]</param>
    public void Score(int position, ReadOnlySpan<float> logits)
    {
        if (!Done && position + 1 == _scores.Count)
            _scores.Add(TokenSampler.Score(logits, prompt[position + 1], top));
    }

    /// <summary>All scores, once, as soon as they are complete.</summary>
    public IReadOnlyList<TokenLogprobs?>? TakeReport()
    {
        if (!Done || _reported)
            return null;
        _reported = true;
        return _scores;
    }
}
