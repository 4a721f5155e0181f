using System.Text.Json;

namespace Eigengate.ChatTemplates;

/// <summary>Reads the named special tokens of a tokenizer, which templates see as variables.</summary>
internal static class SpecialTokens
{
    private static readonly string[] Names =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    /// <summary>Adds what is not there yet: either a string or an object with the string in <c>content</c>.</summary>
    public static void AddTo(Dictionary<string, string> tokens, JsonElement config)
    {
        foreach (string name in Names)
        {
            if (!config.TryGetProperty(name, out JsonElement token))
                continue;
            if (token.ValueKind == JsonValueKind.Object && token.TryGetProperty("content", out JsonElement content))
                token = content;
            if (token.ValueKind == JsonValueKind.String)
                tokens.TryAdd(name, token.GetString()!);
        }
    }
}
