using System.Globalization;
using Eigengate.ComputeNode.Requests;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>A prompt as the engine takes it, and as <c>echo</c> shows it.</summary>
/// <param name="TokenIds">At least one; with the requested output inside the context.</param>
/// <param name="Text">The client's own text, or the decoding of its ids with special tokens kept.</param>
/// <param name="MaxTokens">Tokens to generate at most: what was asked for, else what the context leaves, within the model's own default.</param>
internal sealed record EncodedPrompt(IReadOnlyList<int> TokenIds, string Text, int MaxTokens)
{
    /// <exception cref="ApiException">Out of vocabulary, empty, or too long for the context (spec/http-api.md §5.2).</exception>
    public static EncodedPrompt Encode(PromptInput prompt, GenerationFields fields, ServedModel model)
    {
        int[] ids = prompt.Text is { } text
            ? model.Tokenizer.Encode(text, fields.AddSpecialTokens)
            : [.. prompt.TokenIds!.Select(id => InVocabulary(id, model))];
        int[] kept = Truncate(ids, fields, model);
        if (kept.Length == 0)
            throw PromptInput.Missing();
        int maxTokens = Fit(kept.Length, fields, model);
        if (fields.Sampling.MinTokens > maxTokens)
            throw new ApiException(ApiError.BadRequest($"min_tokens must not exceed {fields.MaxTokensField} ({maxTokens}), got {fields.Sampling.MinTokens}.", "min_tokens"));
        // Cut text has no exact source any more: what is left is what its tokens say.
        string shown = prompt.Text is not null && kept.Length == ids.Length ? prompt.Text : model.Tokenizer.Decode(kept, skipSpecialTokens: false);
        return new EncodedPrompt(kept, shown, maxTokens);
    }

    private static int[] Truncate(int[] ids, GenerationFields fields, ServedModel model)
    {
        if (fields.TruncatePromptTokens is not { } limit)
            return ids;
        long most = limit == -1 ? model.MaxModelLength : limit;
        if (ids.Length <= most)
            return ids;
        return fields.TruncationSide == TruncationSide.Left ? ids[^(int)most..] : ids[..(int)most];
    }

    private static int InVocabulary(long id, ServedModel model) => id >= 0 && id < model.VocabularySize ? (int)id
        : throw new ApiException(ApiError.BadRequest($"Token id {id} is out of vocabulary; ids are 0 to {model.VocabularySize - 1}.", "prompt"));

    // Clients match on "maximum context length is N tokens".
    private static int Fit(int promptTokens, GenerationFields fields, ServedModel model)
    {
        int context = model.MaxModelLength;
        long maxTokens = fields.MaxTokens ?? Math.Max(1, Math.Min(context - promptTokens, model.Defaults.MaxNewTokens ?? long.MaxValue));
        string? param = maxTokens > context ? fields.MaxTokensField : promptTokens + maxTokens > context ? "input_tokens" : null;
        if (param is null)
            return (int)maxTokens;
        throw new ApiException(ApiError.BadRequest(
            string.Create(
                CultureInfo.InvariantCulture,
                $"This model's maximum context length is {context} tokens, but the request needs {(Int128)promptTokens + maxTokens}: {promptTokens} in the prompt and {maxTokens} for the output."),
            param));
    }
}
