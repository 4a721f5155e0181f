using System.Globalization;
using System.Text;

namespace Eigengate.ChatTemplates.Values;

/// <summary>Strings seen as Python sees them: sequences of code points, with Python's idea of white space.</summary>
internal static class PythonText
{
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    public static bool IsBlank(ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            if (!IsSpace(c))
                return false;
        }

        return true;
    }

    public static string TrimEnd(string text, string? characters = null) => Trim(text, characters, start: false, end: true);

    public static string Trim(string text, string? characters, bool start = true, bool end = true)
    {
        int from = 0;
        int to = text.Length;
        while (start && from < to && Matches(text[from]))
            from++;
        while (end && to > from && Matches(text[to - 1]))
            to--;
        return text[from..to];

        bool Matches(char c) => characters is null ? IsSpace(c) : characters.Contains(c, StringComparison.Ordinal);
    }

    public static int Length(string text)
    {
        int length = text.Length;
        for (int i = 1; i < text.Length; i++)
        {
            if (char.IsSurrogatePair(text[i - 1], text[i]))
                length--;
        }

        return length;
    }

    /// <summary>The code points, one string each.</summary>
    public static List<object?> Characters(string text)
    {
        var characters = new List<object?>(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            bool pair = i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]);
            characters.Add(pair ? text.Substring(i++, 2) : text[i].ToString());
        }

        return characters;
    }

    /// <summary>Whether indices of code points and of UTF-16 units coincide.</summary>
    public static bool IsPlain(string text) => !text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF');

    public static int Compare(string left, string right)
    {
        int i = 0;
        while (i < left.Length && i < right.Length && left[i] == right[i])
            i++;
        if (i == left.Length || i == right.Length)
            return left.Length.CompareTo(right.Length);
        // Surrogates sort above the rest of the basic plane, as the code points they stand for do.
        return (char.IsSurrogate(left[i]), char.IsSurrogate(right[i])) switch
        {
            (true, false) => 1,
            (false, true) => -1,
            _ => left[i].CompareTo(right[i]),
        };
    }

    /// <summary>First letter upper, the others lower.</summary>
    public static string Capitalize(string text) =>
        text.Length == 0 ? text : text[..1].ToUpperInvariant() + text[1..].ToLowerInvariant();

    /// <summary>The string method: a word is a run of letters.</summary>
    public static string Title(string text)
    {
        var result = new StringBuilder(text.Length);
        bool inside = false;
        foreach (char c in text)
        {
            result.Append(inside ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c));
            inside = char.IsLetter(c);
        }

        return result.ToString();
    }

    public static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);
}
