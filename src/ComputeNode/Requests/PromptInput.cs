using System.Globalization;
using System.Text.Json;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>One prompt as the client gave it: either text or token ids.</summary>
internal sealed record PromptInput(string? Text, IReadOnlyList<long>? TokenIds)
{
    /// <summary>Reads the four forms of §5.1: a string, strings, ids (one prompt), arrays of ids (several).</summary>
    public static IReadOnlyList<PromptInput> Read(JsonFields body, RequestLimits limits)
    {
        if (body.Element("prompt") is not { } prompt)
            throw Missing();
        if (prompt.ValueKind == JsonValueKind.String)
            return [OfText(prompt, "prompt")];
        if (prompt.ValueKind != JsonValueKind.Array)
            throw JsonFields.WrongType("prompt", "a string, an array of strings, an array of token ids or an array of those", prompt);
        if (prompt.GetArrayLength() == 0)
            throw Missing();
        if (prompt[0].ValueKind == JsonValueKind.Number)
            return [OfIds(prompt, "prompt")];
        if (prompt.GetArrayLength() > limits.MaxPrompts)
            throw new ApiException(ApiError.BadRequest($"prompt: at most {limits.MaxPrompts} prompts in one request, got {prompt.GetArrayLength()}.", "prompt"));

        bool ofIds = prompt[0].ValueKind == JsonValueKind.Array;
        return [.. prompt.EnumerateArray().Select((item, i) => ofIds ? OfIds(item, Item("prompt", i)) : OfText(item, Item("prompt", i)))];
    }

    private static PromptInput OfText(JsonElement value, string path)
    {
        string text = JsonFields.TextOf(value, path);
        return text.Length > 0 ? new PromptInput(text, null) : throw Missing();
    }

    private static PromptInput OfIds(JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.Array)
            throw JsonFields.WrongType(path, "an array of token ids", value);
        long[] ids = [.. value.EnumerateArray().Select((id, i) => JsonFields.IntegerOf(id, Item(path, i)))];
        return ids.Length > 0 ? new PromptInput(null, ids) : throw Missing();
    }

    private static string Item(string path, int index) => string.Create(CultureInfo.InvariantCulture, $"{path}.{index}");

    // Clients match on this sentence.
    public static ApiException Missing() => new(ApiError.BadRequest("Either prompt or prompt_embeds must be provided and non-empty.", "prompt"));
}
