using System.Text.Json;

namespace Eigengate.Inference.Tokenization;

/// <summary>
/// Begin and end tokens of a model. The primary end token is tokenizer_config.json's eos_token, else the first
/// eos_token_id of generation_config.json, else of config.json, else the tokenizer file's own. All other
/// eos_token_id values of generation_config.json, or of config.json where that has none, end a sequence as well.
/// </summary>
internal sealed record StopIds(int? Bos, int Eos, IReadOnlyList<int> ExtraEos)
{
    public static StopIds Resolve(string directory, JsonField tokenizerConfig, TokenizerParts parts)
    {
        var config = JsonField.ReadFile(Path.Combine(directory, "config.json"));
        var generation = JsonField.ReadFile(Path.Combine(directory, "generation_config.json"));
        var ends = Ids(generation["eos_token_id"]) is { Count: > 0 } own ? own : Ids(config["eos_token_id"]);
        var eos = Named(tokenizerConfig["eos_token"], parts) ?? First(ends) ?? parts.EosId
            ?? throw new TokenizerFormatException(config.File, "eos_token_id", "no end-of-sequence token is named by any file of the model");
        var bos = Named(tokenizerConfig["bos_token"], parts)
            ?? First(Ids(generation["bos_token_id"]))
            ?? First(Ids(config["bos_token_id"]))
            ?? parts.BosId;
        return new StopIds(bos, eos, [.. ends.Where(id => id != eos).Distinct()]);
    }

    private static int? Named(JsonField token, TokenizerParts parts)
    {
        if (token.IsAbsent)
            return null;
        var text = token.Value.ValueKind == JsonValueKind.Object ? token["content"].Text() : token.Text();
        return parts.TokenIds.TryGetValue(text, out var id) ? id : throw token.Error($"'{text}' is not a token of {parts.File}");
    }

    private static List<int> Ids(JsonField field) =>
        field.Value.ValueKind == JsonValueKind.Array ? [.. field.Items().Select(id => id.TokenId())]
        : field.IsAbsent ? [] : [field.TokenId()];

    private static int? First(List<int> ids) => ids.Count > 0 ? ids[0] : null;
}
