using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Filters that print their value first and work on the text.</summary>
internal static class TextFilters
{
    public static IEnumerable<Builtin> Table { get; } =
    [
        new("string", [], (s, v, _) => Text(s, v)),
        new("safe", [], (s, v, _) => Text(s, v)),
        new("escape", [], (s, v, _) => Escape(s, Text(s, v))),
        new("e", [], (s, v, _) => Escape(s, Text(s, v))),
        new("upper", [], (s, v, _) => Text(s, v).ToUpperInvariant()),
        new("lower", [], (s, v, _) => Text(s, v).ToLowerInvariant()),
        new("capitalize", [], (s, v, _) => PythonText.Capitalize(Text(s, v))),
        new("title", [], (s, v, _) => Title(Text(s, v))),
        new("trim", ["chars"], (s, v, a) => PythonText.Trim(Text(s, v), a.Text(s, 0))),
        new("replace", ["old", "new", "count"], (s, v, a) => TextOperations.Replace(
            s,
            Text(s, v),
            ValueText.Str(s, a.Required(s, 0, "old")),
            ValueText.Str(s, a.Required(s, 1, "new")),
            a.Integer(s, 2, -1))),
        new("indent", ["width", "first", "blank"], (s, v, a) => Indent(s, Text(s, v), a)),
        new("format", null, Format),
        new("wordcount", [], (s, v, _) => (long)TextOperations.SplitBlank(s, Text(s, v), -1).Count),
    ];

    /// <summary>The printed value, charged once more for the copy the filter makes of it.</summary>
    private static string Text(RenderState state, object? value)
    {
        string text = ValueText.Str(state, value);
        state.ChargeText(text.Length);
        return text;
    }

    private static string Escape(RenderState state, string text)
    {
        var result = new TextBuilder(state);
        foreach (char c in text)
        {
            switch (c)
            {
                case '&': result.Append("&amp;"); break;
                case '<': result.Append("&lt;"); break;
                case '>': result.Append("&gt;"); break;
                case '\'': result.Append("&#39;"); break;
                case '"': result.Append("&#34;"); break;
                default: result.Append(c); break;
            }
        }

        return result.ToString();
    }

    /// <summary>Unlike the string method, only blanks, hyphens and opening brackets start a word.</summary>
    private static string Title(string text)
    {
        char[] letters = text.ToCharArray();
        bool start = true;
        for (int i = 0; i < letters.Length; i++)
        {
            bool separator = PythonText.IsSpace(letters[i]) || letters[i] is '-' or '(' or '{' or '[' or '<';
            letters[i] = start ? char.ToUpperInvariant(letters[i]) : char.ToLowerInvariant(letters[i]);
            start = separator;
        }

        return new string(letters);
    }

    private static string Indent(RenderState state, string text, Arguments arguments)
    {
        string margin = arguments[0] as string ?? Spaces(state, arguments.Integer(state, 0, 4));
        bool blank = arguments.Flag(state, 2, false);
        var result = new TextBuilder(state);
        if (arguments.Flag(state, 1, false))
            result.Append(margin);
        string[] lines = text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            if (i > 0)
                result.Append("\n");
            if (i > 0 && (blank || lines[i].Length > 0))
                result.Append(margin);
            result.Append(lines[i]);
        }

        return result.ToString();
    }

    private static string Spaces(RenderState state, long count)
    {
        state.ChargeText(count);
        return new string(' ', (int)Math.Max(0, count));
    }

    private static string Format(RenderState state, object? value, Arguments arguments)
    {
        if (arguments.Named.Count == 0)
            return PercentFormat.Format(state, Text(state, value), new TupleValue([.. arguments.Positional]));
        var map = new DictValue();
        foreach ((string name, object? argument) in arguments.Named)
            map.Set(name, argument);
        return PercentFormat.Format(state, Text(state, value), map);
    }
}
