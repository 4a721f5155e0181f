namespace Eigengate.Inference.Sampling;

/// <summary>
/// Step 6 of spec/http-api.md §7.1 (definitions in §7.2): repetition over prompt and output, then frequency and presence
/// over the output. Keeps the counts of one sequence.
/// </summary>
internal sealed class Penalties
{
    private readonly float _repetition;
    private readonly float _frequency;
    private readonly float _presence;
    private readonly HashSet<int> _seen = [];
    private readonly Dictionary<int, int> _outputCounts = [];

    private Penalties(SamplingParams p, IReadOnlyList<int> promptIds, int vocabularySize)
    {
        _repetition = p.RepetitionPenalty;
        _frequency = p.FrequencyPenalty;
        _presence = p.PresencePenalty;
        if (_repetition != 1)
            _seen.UnionWith(promptIds.Where(id => (uint)id < (uint)vocabularySize));
    }

    /// <summary>Null when the parameters ask for none.</summary>
    public static Penalties? For(SamplingParams p, IReadOnlyList<int> promptIds, int vocabularySize) =>
        p.RepetitionPenalty == 1 && p.FrequencyPenalty == 0 && p.PresencePenalty == 0 ? null : new Penalties(p, promptIds, vocabularySize);

    public void Add(int outputId)
    {
        _seen.Add(outputId);
        _outputCounts[outputId] = _outputCounts.GetValueOrDefault(outputId) + 1;
    }

    public void Apply(Span<float> logits)
    {
        if (_repetition != 1)
        {
            foreach (var id in _seen)
                logits[id] = logits[id] > 0 ? logits[id] / _repetition : logits[id] * _repetition;
        }

        foreach (var (id, count) in _outputCounts)
            logits[id] -= _frequency * count + _presence;
    }
}
