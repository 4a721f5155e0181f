using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

internal enum TruncationSide
{
    /// <summary>Cut on the left: the last tokens stay.</summary>
    Left,

    /// <summary>Cut on the right: the first tokens stay.</summary>
    Right,
}

/// <summary>
/// The fields that completions and chat share (spec/http-api.md §5.1), checked as far as that needs no model: types, ranges
/// and which fields exclude each other.
/// </summary>
internal sealed record GenerationFields
{
    /// <summary>Requested model, or null for the base.</summary>
    public string? Model { get; init; }

    public required SamplingFields Sampling { get; init; }

    /// <summary>Null fills the context.</summary>
    public long? MaxTokens { get; init; }

    /// <summary>The field that <see cref="MaxTokens"/> came from, for errors.</summary>
    public string MaxTokensField { get; init; } = "max_tokens";

    public int N { get; init; } = 1;

    public bool Stream { get; init; }

    /// <summary>Smaller starts earlier.</summary>
    public int Priority { get; init; }

    public bool IncludeUsage { get; init; }

    public bool ContinuousUsage { get; init; }

    /// <summary>Most likely tokens to report with each generated one; null reports no log-probabilities.</summary>
    public int? Logprobs { get; init; }

    /// <summary>−1 asks for the whole vocabulary.</summary>
    public int? PromptLogprobs { get; init; }

    /// <summary>The prompt's tokens are part of the answer's log-probabilities.</summary>
    public bool ScorePrompt { get; init; }

    /// <summary>Put the tokenizer's own special tokens around a prompt of text.</summary>
    public bool AddSpecialTokens { get; init; }

    /// <summary>−1 stands for the context length.</summary>
    public long? TruncatePromptTokens { get; init; }

    public TruncationSide TruncationSide { get; init; }

    public bool ReturnTokensAsTokenIds { get; init; }

    public bool ReturnTokenIds { get; init; }

    /// <summary>All but what the two endpoints define differently: MaxTokens, Logprobs, ScorePrompt, AddSpecialTokens.</summary>
    /// <exception cref="ApiException">Names the first field that is not acceptable.</exception>
    public static GenerationFields Read(JsonFields body, RequestLimits limits)
    {
        UnofferedFields.Refuse(body);
        bool stream = body.Flag("stream") ?? false;
        var (includeUsage, continuousUsage) = ReadStreamOptions(body, stream);
        return new GenerationFields
        {
            Model = body.Text("model"),
            Sampling = SamplingFields.Read(body, limits),
            N = ReadN(body, limits),
            Stream = stream,
            Priority = ReadPriority(body),
            IncludeUsage = includeUsage,
            ContinuousUsage = continuousUsage && includeUsage,
            PromptLogprobs = ReadPromptLogprobs(body, stream, limits),
            TruncatePromptTokens = body.Integer("truncate_prompt_tokens", minimum: -1),
            TruncationSide = ReadTruncationSide(body),
            ReturnTokensAsTokenIds = body.Flag("return_tokens_as_token_ids") ?? false,
            ReturnTokenIds = body.Flag("return_token_ids") ?? false,
        };
    }

    private static int ReadN(JsonFields body, RequestLimits limits)
    {
        long n = body.Integer("n") ?? 1;
        return n >= 1 && n <= limits.MaxChoices ? (int)n : throw Refused("n", $"n must be in [1, {limits.MaxChoices}], got {n}.");
    }

    private static int ReadPriority(JsonFields body)
    {
        long priority = body.Integer("priority") ?? 0;
        return priority is >= int.MinValue and <= int.MaxValue ? (int)priority : throw Refused("priority", $"priority must fit in 32 bits, got {priority}.");
    }

    private static int? ReadPromptLogprobs(JsonFields body, bool stream, RequestLimits limits)
    {
        if (body.Integer("prompt_logprobs") is not { } count)
            return null;
        if (count < -1 || count > limits.MaxLogprobs)
            throw Refused("prompt_logprobs", $"prompt_logprobs must be in [0, {limits.MaxLogprobs}] or -1, got {count}.");
        if (stream && count != 0)
            throw Refused("prompt_logprobs", "prompt_logprobs cannot be combined with stream: true.");
        return (int)count;
    }

    private static (bool IncludeUsage, bool ContinuousUsage) ReadStreamOptions(JsonFields body, bool stream)
    {
        if (body.Object("stream_options") is not { } options)
            return (false, false);
        bool isEmpty = !body.Element("stream_options")!.Value.EnumerateObject().Any();
        if (!isEmpty && !stream)
            throw Refused("stream_options", "stream_options need stream: true.");
        return (options.Flag("include_usage") ?? false, options.Flag("continuous_usage_stats") ?? false);
    }

    private static TruncationSide ReadTruncationSide(JsonFields body) => body.Text("truncation_side") switch
    {
        null or "left" => TruncationSide.Left,
        "right" => TruncationSide.Right,
        var other => throw new ApiException(ApiError.Schema($"truncation_side: expected 'left' or 'right', got '{other}'.", "truncation_side")),
    };

    private static ApiException Refused(string field, string message) => new(ApiError.BadRequest(message, field));
}
