using System.Text.Json;
using System.Text.RegularExpressions;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>
/// Shakespeare's sonnets as token ids. A model of random weights has no tokenizer, so every word is an id of its own, every
/// mark and line end one, and words of more than seven letters two: about as many as a real tokenizer makes.
/// </summary>
internal static partial class Sonnets
{
    private const int LongWord = 7;

    public static int[][] Load(string path, int vocabulary) =>
        [.. File.ReadLines(path).Where(line => line.Length > 0).Select(line => Encode(JsonDocument.Parse(line).RootElement.GetProperty("text").GetString()!, vocabulary))];

    private static int[] Encode(string text, int vocabulary) =>
    [
        .. Pieces().Matches(text).SelectMany(piece => piece.Length > LongWord
            ? (string[])[piece.Value[..LongWord], piece.Value[LongWord..]]
            : [piece.Value]).Select(piece => 3 + (int)(Hash(piece) % (uint)(vocabulary - 3))),
    ];

    /// <summary>FNV-1a: the same in every process.</summary>
    private static uint Hash(string text) => text.Aggregate(2166136261u, (hash, character) => (hash ^ character) * 16777619u);

    [GeneratedRegex(@"[\w']+|[^\w\s]|\n")]
    private static partial Regex Pieces();
}
