using System.Globalization;
using System.Text.Json;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>
/// The sampling and stopping fields of a request, type- and range-checked as far as that needs no model
/// (spec/http-api.md §5.1). Null means absent: the model's default applies.
/// </summary>
internal sealed record SamplingFields
{
    public double? Temperature { get; init; }

    public double? TopP { get; init; }

    public long? TopK { get; init; }

    public double? MinP { get; init; }

    public double? RepetitionPenalty { get; init; }

    public double PresencePenalty { get; init; }

    public double FrequencyPenalty { get; init; }

    /// <summary>Token id to bias, already clamped to [−100, 100]; ids are not yet checked against a vocabulary.</summary>
    public IReadOnlyDictionary<long, float> LogitBias { get; init; } = new Dictionary<long, float>();

    public IReadOnlyList<long>? AllowedTokenIds { get; init; }

    public IReadOnlyList<string> BadWords { get; init; } = [];

    /// <summary>What the text must satisfy; null for free text.</summary>
    public OutputFormat? Format { get; init; }

    public long? Seed { get; init; }

    public IReadOnlyList<string> Stop { get; init; } = [];

    public IReadOnlyList<long> StopTokenIds { get; init; } = [];

    public long MinTokens { get; init; }

    public bool IncludeStopInOutput { get; init; }

    public bool IgnoreEos { get; init; }

    public bool SkipSpecialTokens { get; init; } = true;

    public static SamplingFields Read(JsonFields body, RequestLimits limits)
    {
        // Accepted for its type only: byte-level and SentencePiece decoding have no such spacing rule.
        body.Flag("spaces_between_special_tokens");
        return new SamplingFields
        {
            Temperature = Within(body, "temperature", t => t is >= 0 and <= 2, "in [0, 2]"),
            TopP = Within(body, "top_p", p => p is > 0 and <= 1, "in (0, 1]"),
            TopK = body.Integer("top_k") is { } k ? Require(k >= -1, k, "top_k", "-1 or 0 (off) or at least 1") : null,
            MinP = Within(body, "min_p", p => p is >= 0 and <= 1, "in [0, 1]"),
            RepetitionPenalty = Within(body, "repetition_penalty", p => p > 0 && float.IsFinite((float)p), "greater than 0 and finite"),
            PresencePenalty = Within(body, "presence_penalty", p => p is >= -2 and <= 2, "in [-2, 2]") ?? 0,
            FrequencyPenalty = Within(body, "frequency_penalty", p => p is >= -2 and <= 2, "in [-2, 2]") ?? 0,
            LogitBias = ReadLogitBias(body),
            AllowedTokenIds = ReadAllowedTokenIds(body),
            BadWords = ReadBadWords(body, limits),
            Format = OutputFormat.Read(body),
            Seed = body.Integer("seed") is { } seed and not -1 ? seed : null,
            Stop = ReadStop(body, limits),
            StopTokenIds = body.Integers("stop_token_ids") ?? [],
            MinTokens = body.Integer("min_tokens") is { } min ? Require(min >= 0, min, "min_tokens", "at least 0") : 0,
            IncludeStopInOutput = body.Flag("include_stop_str_in_output") ?? false,
            IgnoreEos = body.Flag("ignore_eos") ?? false,
            SkipSpecialTokens = body.Flag("skip_special_tokens") ?? true,
        };
    }

    private static double? Within(JsonFields body, string name, Func<double, bool> holds, string range) =>
        body.Number(name) is { } value ? Require(holds(value), value, name, range) : null;

    private static T Require<T>(bool holds, T value, string name, string range) => holds
        ? value
        : throw new ApiException(ApiError.BadRequest(string.Create(CultureInfo.InvariantCulture, $"{name} must be {range}, got {value}."), name));

    private static IReadOnlyList<string> ReadStop(JsonFields body, RequestLimits limits)
    {
        IReadOnlyList<string> stop = body.Element("stop") is { ValueKind: JsonValueKind.String } one ? [one.GetString()!] : body.Texts("stop") ?? [];
        if (stop.Count > limits.MaxStopStrings)
            throw new ApiException(ApiError.BadRequest($"stop: at most {limits.MaxStopStrings} strings, got {stop.Count}.", "stop"));
        if (stop.Contains(""))
            throw new ApiException(ApiError.BadRequest("stop: an empty string cannot stop a text.", "stop"));
        return stop;
    }

    private static IReadOnlyList<string> ReadBadWords(JsonFields body, RequestLimits limits)
    {
        IReadOnlyList<string> words = body.Texts("bad_words") ?? [];
        if (words.Count > limits.MaxBadWords)
            throw new ApiException(ApiError.BadRequest($"bad_words: at most {limits.MaxBadWords} words, got {words.Count}.", "bad_words"));
        if (words.Any(string.IsNullOrWhiteSpace))
            throw new ApiException(ApiError.BadRequest("bad_words: a word must hold more than white space.", "bad_words"));
        return words;
    }

    private static IReadOnlyList<long>? ReadAllowedTokenIds(JsonFields body)
    {
        IReadOnlyList<long>? ids = body.Integers("allowed_token_ids");
        return ids is not { Count: 0 } ? ids
            : throw new ApiException(ApiError.BadRequest("allowed_token_ids: an empty list allows no token at all.", "allowed_token_ids"));
    }

    private static Dictionary<long, float> ReadLogitBias(JsonFields body)
    {
        var bias = new Dictionary<long, float>();
        if (body.Element("logit_bias") is not { } json)
            return bias;
        if (json.ValueKind != JsonValueKind.Object)
            throw JsonFields.WrongType("logit_bias", "an object of token id to number", json);

        var badKeys = new List<string>();
        foreach (JsonProperty entry in json.EnumerateObject())
        {
            float value = (float)Math.Clamp(JsonFields.NumberOf(entry.Value, $"logit_bias.{entry.Name}"), -100, 100);
            if (long.TryParse(entry.Name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long id))
                bias[id] = value;
            else
                badKeys.Add(entry.Name);
        }

        return badKeys.Count == 0 ? bias
            : throw new ApiException(ApiError.BadRequest($"logit_bias: keys must be integer token ids, got {string.Join(", ", badKeys.Select(k => $"'{k}'"))}.", "logit_bias"));
    }
}
