using System.Globalization;
using Eigengate.ComputeNode.Requests;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>A prompt as the engine takes it, and as <c>echo</c> shows it.</summary>
/// <param name="TokenIds">At least one; with the requested output inside the context.</param>
/// <param name="Text">The client's own text, or the decoding of its ids with special tokens kept.</param>
internal sealed record EncodedPrompt(IReadOnlyList<int> TokenIds, string Text)
{
    /// <exception cref="ApiException">Out of vocabulary, empty, or too long for the context (spec/http-api.md §5.2).</exception>
    public static EncodedPrompt Encode(PromptInput prompt, CompletionRequest request, ServedModel model)
    {
        int[] ids = prompt.Text is { } text
            ? model.Tokenizer.Encode(text, request.AddSpecialTokens)
            : [.. prompt.TokenIds!.Select(id => InVocabulary(id, model))];
        int[] kept = Truncate(ids, request, model);
        if (kept.Length == 0)
            throw PromptInput.Missing();
        RequireFits(kept.Length, request.MaxTokens, model.MaxModelLength);
        // Cut text has no exact source any more: what is left is what its tokens say.
        string shown = prompt.Text is not null && kept.Length == ids.Length ? prompt.Text : model.Tokenizer.Decode(kept, skipSpecialTokens: false);
        return new EncodedPrompt(kept, shown);
    }

    private static int[] Truncate(int[] ids, CompletionRequest request, ServedModel model)
    {
        if (request.TruncatePromptTokens is not { } limit)
            return ids;
        long most = limit == -1 ? model.MaxModelLength : limit;
        if (ids.Length <= most)
            return ids;
        return request.TruncationSide == TruncationSide.Left ? ids[^(int)most..] : ids[..(int)most];
    }

    private static int InVocabulary(long id, ServedModel model) => id >= 0 && id < model.VocabularySize ? (int)id
        : throw new ApiException(ApiError.BadRequest($"Token id {id} is out of vocabulary; ids are 0 to {model.VocabularySize - 1}.", "prompt"));

    // Clients match on "maximum context length is N tokens".
    private static void RequireFits(int promptTokens, long maxTokens, int context)
    {
        string? param = maxTokens > context ? "max_tokens" : promptTokens + maxTokens > context ? "input_tokens" : null;
        if (param is null)
            return;
        throw new ApiException(ApiError.BadRequest(
            string.Create(
                CultureInfo.InvariantCulture,
                $"This model's maximum context length is {context} tokens, but the request needs {(Int128)promptTokens + maxTokens}: {promptTokens} in the prompt and {maxTokens} for the output."),
            param));
    }
}
