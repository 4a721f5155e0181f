using Eigengate.ComputeNode.Requests;
using Eigengate.Inference.Sampling;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>Completes the sampling fields of a request with what depends on the model: defaults, vocabulary, token sequences.</summary>
internal static class SamplingBuilder
{
    private const double GreedyBelow = 1e-5;
    private const double LowestSampledTemperature = 0.01;

    /// <summary>Parameters of the first sample but for MaxTokens and Constraint; further samples differ only in their seed (<see cref="ForSample"/>).</summary>
    /// <exception cref="ApiException">Token ids out of vocabulary, or n > 1 with greedy sampling.</exception>
    public static SamplingParams Build(GenerationFields request, ServedModel model)
    {
        SamplingFields fields = request.Sampling;
        double temperature = fields.Temperature ?? model.Defaults.Temperature;
        if (temperature is >= GreedyBelow and < LowestSampledTemperature)
            temperature = LowestSampledTemperature;
        if (temperature < GreedyBelow && request.N > 1)
            throw new ApiException(ApiError.BadRequest($"n must be 1 with greedy sampling (temperature {temperature}), got {request.N}: all choices would be equal.", "n"));

        int? promptLogprobs = PromptLogprobs(request, model);
        return new SamplingParams
        {
            // Each prompt leaves room of its own in the context.
            MaxTokens = 0,
            MinTokens = (int)Math.Min(fields.MinTokens, model.MaxModelLength),
            Temperature = (float)temperature,
            TopP = (float)(fields.TopP ?? model.Defaults.TopP),
            TopK = (int)Math.Clamp(fields.TopK ?? model.Defaults.TopK, 0, model.VocabularySize),
            MinP = (float)(fields.MinP ?? model.Defaults.MinP),
            PresencePenalty = (float)fields.PresencePenalty,
            FrequencyPenalty = (float)fields.FrequencyPenalty,
            RepetitionPenalty = (float)(fields.RepetitionPenalty ?? model.Defaults.RepetitionPenalty),
            LogitBias = Known(fields.LogitBias.Keys, "logit_bias", model).ToDictionary(id => (int)id, id => fields.LogitBias[id]),
            AllowedTokenIds = fields.AllowedTokenIds is { } allowed ? [.. Known(allowed, "allowed_token_ids", model).Select(id => (int)id)] : null,
            BadWords = [.. fields.BadWords.SelectMany(word => Spellings(word, model))],
            Seed = fields.Seed,
            Stop = fields.Stop,
            // An id outside the vocabulary can never be produced, so it never stops anything.
            StopTokenIds = [.. fields.StopTokenIds.Where(id => id >= 0 && id < model.VocabularySize).Select(id => (int)id)],
            IncludeStopInOutput = fields.IncludeStopInOutput,
            IgnoreEos = fields.IgnoreEos,
            SkipSpecialTokens = fields.SkipSpecialTokens,
            Logprobs = request.Logprobs,
            PromptLogprobs = request is { ScorePrompt: true, Logprobs: { } echoed } ? Math.Max(echoed, promptLogprobs ?? 0) : promptLogprobs,
        };
    }

    /// <summary>Each sample of a seeded request has its own stream of random numbers, the same in every run.</summary>
    public static SamplingParams ForSample(SamplingParams first, int sample) =>
        first.Seed is { } seed && sample > 0 ? first with { Seed = unchecked(seed + sample) } : first;

    private static int? PromptLogprobs(GenerationFields request, ServedModel model) => request.PromptLogprobs is not -1 ? request.PromptLogprobs
        : throw new ApiException(ApiError.BadRequest($"prompt_logprobs: -1 asks for all {model.VocabularySize} tokens, more than this server reports.", "prompt_logprobs"));

    private static long[] Known(IEnumerable<long> ids, string field, ServedModel model)
    {
        long[] all = [.. ids];
        long[] unknown = [.. all.Where(id => id < 0 || id >= model.VocabularySize)];
        return unknown.Length == 0 ? all
            : throw new ApiException(ApiError.BadRequest($"{field}: {string.Join(", ", unknown)} out of vocabulary; the model has {model.VocabularySize} tokens.", field));
    }

    /// <summary>A word is forbidden at the start of a text and after a space, which are different tokens.</summary>
    private static IEnumerable<int[]> Spellings(string word, ServedModel model)
    {
        string bare = word.TrimStart();
        int[] alone = model.Tokenizer.Encode(bare, addSpecialTokens: false);
        int[] spaced = model.Tokenizer.Encode(" " + bare, addSpecialTokens: false);
        return new[] { alone, spaced }.Where(ids => ids.Length > 0).DistinctBy(ids => string.Join(',', ids));
    }
}
