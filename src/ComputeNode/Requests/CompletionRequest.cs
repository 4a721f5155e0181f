using System.Text.Json;
using Eigengate.ComputeNode.Generation;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>The body of <c>POST /v1/completions</c> (spec/http-api.md §5.1), checked as far as that needs no model.</summary>
internal sealed record CompletionRequest(GenerationFields Fields, IReadOnlyList<PromptInput> Prompts, bool Echo) : IGenerationInput
{
    private const int DefaultMaxTokens = 16;

    /// <exception cref="ApiException">Names the first field that is not acceptable.</exception>
    public static CompletionRequest Read(JsonElement json, RequestLimits limits)
    {
        var body = new JsonFields(json);
        bool echo = body.Flag("echo") ?? false;
        int? logprobs = ReadLogprobs(body, limits);
        GenerationFields fields = GenerationFields.Read(body, limits) with
        {
            MaxTokens = ReadMaxTokens(body, echo),
            Logprobs = logprobs,
            ScorePrompt = echo && logprobs is not null,
            AddSpecialTokens = body.Flag("add_special_tokens") ?? true,
        };
        return new CompletionRequest(fields, PromptInput.Read(body, limits), echo);
    }

    public IReadOnlyList<PromptInput> PromptsFor(ServedModel model, CancellationToken cancel) => Prompts;

    // With return_token_ids, prompt and output can be told apart only if the text is the output alone.
    public string EchoOf(EncodedPrompt prompt) => Echo && !Fields.ReturnTokenIds ? prompt.Text : "";

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

    private static int? ReadLogprobs(JsonFields body, RequestLimits limits)
    {
        if (body.Integer("logprobs") is not { } count)
            return null;
        return count >= 0 && count <= limits.MaxLogprobs ? (int)count
            : throw Refused("logprobs", $"logprobs must be in [0, {limits.MaxLogprobs}], got {count}.");
    }

    private static ApiException Refused(string field, string message) => new(ApiError.BadRequest(message, field));
}
