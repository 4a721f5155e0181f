namespace Eigengate.Lab;

/// <summary>
/// The demo vocabulary: one token per byte, two merges for the arrow, one task token per task.
/// Ids are derivable by hand: 0 and 1 are start and end, a byte b is b + 2, " ->" is <see cref="Arrow"/>.
/// </summary>
public static class CharTokenizer
{
    public const int Start = 0;
    public const int End = 1;
    public const int FirstByte = 2;
    public const int BareArrow = FirstByte + 256;
    public const int Arrow = BareArrow + 1;
    public const int FirstTask = Arrow + 1;
    public const int VocabularySize = 320;
    public const string StartText = "<s>";
    public const string EndText = "</s>";

    public static string TaskText(TextTask task) => $"<|{task.Id}|>";

    /// <summary>Start token (or the task token in its place), the letters, the arrow.</summary>
    public static int[] EncodePrompt(string word, int start = Start) => [start, .. Bytes(word), Arrow];

    /// <summary>A space, the answer, the end token: what the model has to produce.</summary>
    public static int[] EncodeAnswer(string answer) => [.. Bytes(" " + answer), End];

    private static IEnumerable<int> Bytes(string text) => text.Select(c => c + FirstByte);
}
