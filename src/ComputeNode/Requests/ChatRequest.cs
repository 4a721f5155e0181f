using System.Text.Json;
using Eigengate.ComputeNode.Generation;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>The body of <c>POST /v1/chat/completions</c> (spec/http-api.md §6.1), checked as far as that needs no model.</summary>
internal sealed record ChatRequest(GenerationFields Fields, ChatPrompt Prompt, bool Echo) : IGenerationInput
{
    /// <exception cref="ApiException">Names the first field that is not acceptable.</exception>
    public static ChatRequest Read(JsonElement json, RequestLimits limits)
    {
        var body = new JsonFields(json);
        string maxTokensField = body.Has("max_completion_tokens") ? "max_completion_tokens" : "max_tokens";
        GenerationFields fields = GenerationFields.Read(body, limits) with
        {
            MaxTokens = body.Integer(maxTokensField) is not { } maxTokens ? null
                : maxTokens >= 1 ? maxTokens
                : throw Refused(maxTokensField, $"{maxTokensField} must be at least 1, got {maxTokens}."),
            MaxTokensField = maxTokensField,
            Logprobs = ReadLogprobs(body, limits),
            // Templates write the begin token themselves.
            AddSpecialTokens = body.Flag("add_special_tokens") ?? false,
        };
        return new ChatRequest(fields, ChatPrompt.Read(body), body.Flag("echo") ?? false);
    }

    /// <exception cref="ApiException">The model has no template, or the template cannot render these messages.</exception>
    public IReadOnlyList<PromptInput> PromptsFor(ServedModel model, CancellationToken cancel) => [new PromptInput(model.Render(Prompt, cancel), null)];

    public string EchoOf(EncodedPrompt prompt) => Echo && Prompt.Messages[^1] is { Role: ChatMessage.Assistant, Text: { } text } ? text : "";

    private static int? ReadLogprobs(JsonFields body, RequestLimits limits)
    {
        bool wanted = body.Flag("logprobs") ?? false;
        long top = body.Integer("top_logprobs") ?? 0;
        if (top < 0 || top > limits.MaxLogprobs)
            throw Refused("top_logprobs", $"top_logprobs must be in [0, {limits.MaxLogprobs}], got {top}.");
        if (top > 0 && !wanted)
            throw Refused("top_logprobs", "top_logprobs needs logprobs: true.");
        return wanted ? (int)top : null;
    }

    private static ApiException Refused(string field, string message) => new(ApiError.BadRequest(message, field));
}
