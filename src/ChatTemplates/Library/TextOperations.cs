using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Splitting and replacing, shared by filters and string methods. A negative count means no limit.</summary>
internal static class TextOperations
{
    public static string Replace(RenderState state, string text, string old, string with, long count)
    {
        long left = count < 0 ? long.MaxValue : count;
        var result = new TextBuilder(state);
        if (old.Length == 0)
        {
            foreach (object? character in Kinds.Items(state, text))
            {
                if (left-- > 0)
                    result.Append(with);
                result.Append((string)character!);
            }

            return left > 0 ? result.Append(with).ToString() : result.ToString();
        }

        int from = 0;
        for (; left > 0; left--)
        {
            int at = text.IndexOf(old, from, StringComparison.Ordinal);
            if (at < 0)
                break;
            result.Append(text.AsSpan(from, at - from)).Append(with);
            from = at + old.Length;
        }

        return result.Append(text.AsSpan(from)).ToString();
    }

    public static List<object?> Split(RenderState state, string text, string separator, long count)
    {
        if (separator.Length == 0)
            throw state.Fail("a text cannot be split at an empty separator");
        var parts = new List<object?>();
        int from = 0;
        for (long left = count < 0 ? long.MaxValue : count; left > 0; left--)
        {
            int at = text.IndexOf(separator, from, StringComparison.Ordinal);
            if (at < 0)
                break;
            Add(state, parts, text[from..at]);
            from = at + separator.Length;
        }

        Add(state, parts, text[from..]);
        return parts;
    }

    public static List<object?> SplitFromEnd(RenderState state, string text, string separator, long count)
    {
        if (separator.Length == 0)
            throw state.Fail("a text cannot be split at an empty separator");
        var parts = new List<object?>();
        int end = text.Length;
        for (long left = count < 0 ? long.MaxValue : count; left > 0; left--)
        {
            int at = text.AsSpan(0, end).LastIndexOf(separator, StringComparison.Ordinal);
            if (at < 0)
                break;
            Add(state, parts, text[(at + separator.Length)..end]);
            end = at;
        }

        Add(state, parts, text[..end]);
        parts.Reverse();
        return parts;
    }

    /// <summary>At runs of white space, which also disappear at both ends.</summary>
    public static List<object?> SplitBlank(RenderState state, string text, long count)
    {
        var parts = new List<object?>();
        long left = count < 0 ? long.MaxValue : count;
        int i = 0;
        while (true)
        {
            while (i < text.Length && PythonText.IsSpace(text[i]))
                i++;
            if (i == text.Length)
                return parts;
            int start = i;
            if (left-- == 0)
            {
                Add(state, parts, text[start..]);
                return parts;
            }

            while (i < text.Length && !PythonText.IsSpace(text[i]))
                i++;
            Add(state, parts, text[start..i]);
        }
    }

    public static List<object?> SplitBlankFromEnd(RenderState state, string text, long count)
    {
        var parts = new List<object?>();
        long left = count < 0 ? long.MaxValue : count;
        int i = text.Length;
        while (true)
        {
            while (i > 0 && PythonText.IsSpace(text[i - 1]))
                i--;
            if (i == 0)
                break;
            int end = i;
            if (left-- == 0)
            {
                Add(state, parts, text[..end]);
                break;
            }

            while (i > 0 && !PythonText.IsSpace(text[i - 1]))
                i--;
            Add(state, parts, text[i..end]);
        }

        parts.Reverse();
        return parts;
    }

    public static List<object?> Lines(RenderState state, string text, bool keepEnds)
    {
        var lines = new List<object?>();
        int start = 0;
        while (start < text.Length)
        {
            int end = start;
            while (end < text.Length && !IsLineEnd(text[end]))
                end++;
            int next = end == text.Length ? end
                : text[end] == '\r' && end + 1 < text.Length && text[end + 1] == '\n' ? end + 2 : end + 1;
            Add(state, lines, text[start..(keepEnds ? next : end)]);
            start = next;
        }

        return lines;
    }

    private static bool IsLineEnd(char c) => c is '\n' or '\r' or '\v' or '\f' or '\x1c' or '\x1d' or '\x1e' or '\x85' or '\u2028' or '\u2029';

    private static void Add(RenderState state, List<object?> parts, string part)
    {
        state.Charge(4 + (part.Length / 4));
        parts.Add(part);
    }
}
