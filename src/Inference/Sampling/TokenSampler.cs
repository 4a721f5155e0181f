using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Eigengate.Inference.Sampling.Constraints;

namespace Eigengate.Inference.Sampling;

/// <summary>
/// Chooses the tokens of one sequence in the order of spec/http-api.md §7.1. Remembers what it chose, so it is called
/// exactly once per generated token. Not thread-safe; different sequences may be sampled on different threads.
/// When nothing is possible (say, an allowed list with only forbidden tokens) the choice is EOS; where a constraint does not
/// let the text end, that is an error.
/// </summary>
public sealed class TokenSampler
{
    private const float LowestTemperature = 0.01f;

    private readonly SamplingParams _params;
    private readonly int _vocabularySize;
    private readonly int _eosId;
    private readonly int[] _endIds;
    private readonly Penalties? _penalties;
    private readonly ConstraintCursor? _constraint;
    private readonly List<int> _output = [];
    private SequenceRandom _random;

    /// <param name="p">Validated by the caller; token ids outside the vocabulary are ignored.</param>
    /// <param name="vocabularySize">Number of logits per position.</param>
    /// <param name="eosId">The primary end token.</param>
    /// <param name="extraEosIds">Further end tokens.</param>
    /// <param name="promptIds">For the repetition penalty.</param>
    public TokenSampler(
        SamplingParams p,
        int vocabularySize,
        int eosId,
        IReadOnlyList<int> extraEosIds,
        IReadOnlyList<int> promptIds)
    {
        bool Known(int id) => (uint)id < (uint)vocabularySize;
        if (!Known(eosId))
            throw new ArgumentOutOfRangeException(nameof(eosId), eosId, $"the vocabulary has {vocabularySize} tokens");
        _params = p with
        {
            LogitBias = p.LogitBias.Where(b => Known(b.Key)).ToDictionary(b => b.Key, b => b.Value),
            AllowedTokenIds = p.AllowedTokenIds?.Where(Known).ToArray(),
            BadWords = [.. p.BadWords.Where(word => word.All(Known))],
        };
        _vocabularySize = vocabularySize;
        _eosId = eosId;
        _endIds = [.. p.StopTokenIds.Concat(extraEosIds).Append(eosId).Where(Known).Distinct()];
        _penalties = Penalties.For(p, promptIds, vocabularySize);
        if (p.Constraint is { } masks)
            _constraint = new ConstraintCursor(masks, eosId, p.IgnoreEos ? p.StopTokenIds.Where(Known) : _endIds);
        _random = new SequenceRandom((ulong)(p.Seed ?? Random.Shared.NextInt64()));
    }

    /// <summary>What is reported about a token at a position with these logits.</summary>
    /// <param name="logits">Raw logits of the whole vocabulary.</param>
    /// <param name="tokenId">The token that stands there.</param>
    /// <param name="top">Number of most likely tokens to report.</param>
    public static TokenLogprobs Score(ReadOnlySpan<float> logits, int tokenId, int top)
    {
        var normalizer = LogSoftmax.Normalizer(logits);
        var ids = SamplingScratch.Current.Ids(Math.Min(top, logits.Length));
        TopSelection.Select(logits, ids);
        var best = new TokenLogprob[ids.Length];
        for (var i = 0; i < best.Length; i++)
            best[i] = new TokenLogprob(ids[i], (float)(logits[ids[i]] - normalizer));
        return new TokenLogprobs(new TokenLogprob(tokenId, (float)(logits[tokenId] - normalizer)), TopSelection.Rank(logits, tokenId), best);
    }

    /// <summary>Whether <see cref="Sample"/> returns without waiting for what the constraint allows next.</summary>
    public bool IsReady => _constraint is not { IsReady: false };

    /// <summary>Waits until <see cref="IsReady"/>; false when it took longer.</summary>
    public bool Wait(TimeSpan most) => _constraint is null || _constraint.Wait(most);

    /// <summary>Chooses the next token and remembers it.</summary>
    /// <param name="logits">[vocabulary], raw; not changed.</param>
    /// <exception cref="NoTokenPossibleException">The constraint needs a token that the other parameters forbid.</exception>
    public SampledToken Sample(ReadOnlySpan<float> logits)
    {
        if (logits.Length != _vocabularySize)
            throw new ArgumentException($"{logits.Length} logits were given for a vocabulary of {_vocabularySize}", nameof(logits));
        var complete = false;
        if (_constraint is not null)
        {
            var masked = SamplingScratch.Current.Masked(logits.Length);
            complete = _constraint.Mask(logits, masked);
            logits = masked;
        }

        var id = Choose(logits, mayEnd: complete || _output.Count >= _params.MinTokens) ?? _eosId;
        var ends = _constraint is { CanEnd: true } && (id == _eosId || _endIds.Contains(id));
        if (_constraint is not null && !_constraint.Accept(id))
            throw new NoTokenPossibleException(_output.Count);
        var logprobs = _params.Logprobs is { } top ? Score(logits, id, top) : null;
        _output.Add(id);
        _penalties?.Add(id);
        return new SampledToken(id, logprobs, ends);
    }

    /// <summary>Null when nothing is possible.</summary>
    private int? Choose(ReadOnlySpan<float> raw, bool mayEnd)
    {
        var changesLogits = !mayEnd || _penalties is not null || _params.AllowedTokenIds is not null
            || _params.BadWords.Count > 0 || _params.LogitBias.Count > 0;
        if (_params.Greedy && !changesLogits)
            return Best(raw);

        var logits = SamplingScratch.Current.Logits(raw.Length);
        raw.CopyTo(logits);
        if (_params.AllowedTokenIds is { } allowed)
            AllowedTokens.Apply(logits, allowed);
        if (_params.BadWords.Count > 0)
            BadWords.Apply(logits, _params.BadWords, CollectionsMarshal.AsSpan(_output));
        if (!mayEnd)
        {
            foreach (var end in _endIds)
                logits[end] = float.NegativeInfinity;
        }

        foreach (var (token, bias) in _params.LogitBias)
            logits[token] += bias;
        _penalties?.Apply(logits);
        return _params.Greedy ? Best(logits) : DrawOne(logits);
    }

    private int? DrawOne(Span<float> logits)
    {
        TensorPrimitives.Divide(logits, Math.Max(_params.Temperature, LowestTemperature), logits);
        var uniform = _random.NextDouble();
        var max = TensorPrimitives.Max<float>(logits);
        if (float.IsNegativeInfinity(max))
            return null;
        if (_params.MinP > 0)
            MinP.Apply(logits, _params.MinP);
        if (_params.TopK > 0 && _params.TopK < logits.Length)
            return Draw.From(TopK.Select(logits, _params.TopK, _params.TopP), logits, uniform);
        return _params.TopP < 1
            ? Draw.From(TopP.Select(logits, max, _params.TopP), logits, uniform)
            : Draw.FromAll(logits, max, uniform);
    }

    private static int? Best(ReadOnlySpan<float> logits)
    {
        // Two simple passes are faster than one that carries indices along. The second compares bits: a NaN equals nothing.
        int best = MemoryMarshal.Cast<float, int>(logits).IndexOf(BitConverter.SingleToInt32Bits(TensorPrimitives.Max(logits)));
        if (best < 0)
            best = TensorPrimitives.IndexOfMax(logits);
        return float.IsNegativeInfinity(logits[best]) ? null : best;
    }
}
