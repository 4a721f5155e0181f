using System.Text.Json;
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
/// The body of <c>POST /v1/completions</c> (spec/http-api.md §5.1), checked as far as that needs no model: types, ranges
/// and which fields exclude each other.
/// </summary>
internal sealed record CompletionRequest
{
    private const int DefaultMaxTokens = 16;

    /// <summary>Requested model, or null for the base.</summary>
    public string? Model { get; init; }

    public required IReadOnlyList<PromptInput> Prompts { get; init; }

    public required SamplingFields Sampling { get; init; }

    public long MaxTokens { get; init; } = DefaultMaxTokens;

    public int N { get; init; } = 1;

    public bool Stream { get; init; }

    public bool IncludeUsage { get; init; }

    public bool ContinuousUsage { get; init; }

    public bool Echo { get; init; }

    public int? Logprobs { get; init; }

    /// <summary>−1 asks for the whole vocabulary.</summary>
    public int? PromptLogprobs { get; init; }

    public bool AddSpecialTokens { get; init; } = true;

    /// <summary>−1 stands for the context length.</summary>
    public long? TruncatePromptTokens { get; init; }

    public TruncationSide TruncationSide { get; init; }

    public bool ReturnTokensAsTokenIds { get; init; }

    public bool ReturnTokenIds { get; init; }

    /// <exception cref="ApiException">Names the first field that is not acceptable.</exception>
    public static CompletionRequest Read(JsonElement json, RequestLimits limits)
    {
        var body = new JsonFields(json);
        UnofferedFields.Refuse(body);
        bool stream = body.Flag("stream") ?? false;
        bool echo = body.Flag("echo") ?? false;
        var (includeUsage, continuousUsage) = ReadStreamOptions(body, stream);
        var request = new CompletionRequest
        {
            Model = body.Text("model"),
            Prompts = PromptInput.Read(body, limits),
            Sampling = SamplingFields.Read(body, limits),
            MaxTokens = ReadMaxTokens(body, echo),
            N = ReadN(body, limits),
            Stream = stream,
            IncludeUsage = includeUsage,
            ContinuousUsage = continuousUsage && includeUsage,
            Echo = echo,
            Logprobs = ReadLogprobs(body, limits),
            PromptLogprobs = ReadPromptLogprobs(body, stream, limits),
            AddSpecialTokens = body.Flag("add_special_tokens") ?? true,
            TruncatePromptTokens = body.Integer("truncate_prompt_tokens", minimum: -1),
            TruncationSide = ReadTruncationSide(body),
            ReturnTokensAsTokenIds = body.Flag("return_tokens_as_token_ids") ?? false,
            ReturnTokenIds = body.Flag("return_token_ids") ?? false,
        };
        if (request.Sampling.MinTokens > request.MaxTokens)
            throw Refused("min_tokens", $"min_tokens must not exceed max_tokens ({request.MaxTokens}), got {request.Sampling.MinTokens}.");
        return request;
    }

    private static long ReadMaxTokens(JsonFields body, bool echo)
    {
        long maxTokens = body.Integer("max_tokens") ?? DefaultMaxTokens;
        return maxTokens switch
        {
            >= 1 => maxTokens,
            0 when echo => 0,
            0 => throw Refused("max_tokens", "max_tokens must be at least 1, or 0 together with echo: true."),
            _ => throw Refused("max_tokens", $"max_tokens must be at least 1, got {maxTokens}."),
        };
    }

    private static int ReadN(JsonFields body, RequestLimits limits)
    {
        long n = body.Integer("n") ?? 1;
        return n >= 1 && n <= limits.MaxChoices ? (int)n : throw Refused("n", $"n must be in [1, {limits.MaxChoices}], got {n}.");
    }

    private static int? ReadLogprobs(JsonFields body, RequestLimits limits)
    {
        if (body.Integer("logprobs") is not { } count)
            return null;
        return count >= 0 && count <= limits.MaxLogprobs ? (int)count
            : throw Refused("logprobs", $"logprobs must be in [0, {limits.MaxLogprobs}], got {count}.");
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
