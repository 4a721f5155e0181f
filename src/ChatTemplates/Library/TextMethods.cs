using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Methods of Python strings.</summary>
internal static class TextMethods
{
    private static readonly string[] Split = ["sep", "maxsplit"];
    private static readonly string[] Find = ["sub", "start", "end"];

    public static IEnumerable<Builtin> Table { get; } =
    [
        Method("strip", ["chars"], (s, t, a) => PythonText.Trim(t, a.Text(s, 0))),
        Method("lstrip", ["chars"], (s, t, a) => PythonText.Trim(t, a.Text(s, 0), end: false)),
        Method("rstrip", ["chars"], (s, t, a) => PythonText.Trim(t, a.Text(s, 0), start: false)),
        Method("upper", [], (_, t, _) => t.ToUpperInvariant()),
        Method("lower", [], (_, t, _) => t.ToLowerInvariant()),
        Method("title", [], (_, t, _) => PythonText.Title(t)),
        Method("capitalize", [], (_, t, _) => PythonText.Capitalize(t)),
        Method("split", Split, (s, t, a) => new ListValue(a.Text(s, 0) is { } separator
            ? TextOperations.Split(s, t, separator, a.Integer(s, 1, -1))
            : TextOperations.SplitBlank(s, t, a.Integer(s, 1, -1)))),
        Method("rsplit", Split, (s, t, a) => new ListValue(a.Text(s, 0) is { } separator
            ? TextOperations.SplitFromEnd(s, t, separator, a.Integer(s, 1, -1))
            : TextOperations.SplitBlankFromEnd(s, t, a.Integer(s, 1, -1)))),
        Method("splitlines", ["keepends"], (s, t, a) => new ListValue(TextOperations.Lines(s, t, a.Flag(s, 0, false)))),
        Method("partition", ["sep"], (s, t, a) => Partition(s, t, a, last: false)),
        Method("rpartition", ["sep"], (s, t, a) => Partition(s, t, a, last: true)),
        Method("startswith", ["prefix", "start", "end"], (s, t, a) => AnyAffix(s, t, a, (x, y) => x.StartsWith(y, StringComparison.Ordinal))),
        Method("endswith", ["suffix", "start", "end"], (s, t, a) => AnyAffix(s, t, a, (x, y) => x.EndsWith(y, StringComparison.Ordinal))),
        Method("removeprefix", ["prefix"], (s, t, a) =>
            Required(s, a) is var prefix && t.StartsWith(prefix, StringComparison.Ordinal) ? t[prefix.Length..] : t),
        Method("removesuffix", ["suffix"], (s, t, a) =>
            Required(s, a) is var suffix && t.EndsWith(suffix, StringComparison.Ordinal) ? t[..^suffix.Length] : t),
        Method("replace", ["old", "new", "count"], (s, t, a) =>
            TextOperations.Replace(s, t, Required(s, a), a.Text(s, 1) ?? throw s.Fail("missing argument 'new'"), a.Integer(s, 2, -1))),
        Method("join", ["iterable"], Join),
        Method("find", Find, (s, t, a) => Search(s, t, a, last: false)),
        Method("rfind", Find, (s, t, a) => Search(s, t, a, last: true)),
        Method("index", Find, (s, t, a) => Search(s, t, a, last: false) is var at and >= 0 ? at : throw s.Fail("substring not found")),
        Method("count", ["sub"], (s, t, a) => Count(s, t, Required(s, a))),
        Method("format", null, TextFormat.Format),
        Method("zfill", ["width"], (s, t, a) => ZeroFill(s, t, a.Integer(s, 0, 0))),
        Method("isdigit", [], (_, t, _) => All(t, char.IsDigit)),
        Method("isdecimal", [], (_, t, _) => All(t, char.IsDigit)),
        Method("isnumeric", [], (_, t, _) => All(t, char.IsNumber)),
        Method("isalpha", [], (_, t, _) => All(t, char.IsLetter)),
        Method("isalnum", [], (_, t, _) => All(t, c => char.IsLetter(c) || char.IsNumber(c))),
        Method("isspace", [], (_, t, _) => All(t, PythonText.IsSpace)),
        Method("isupper", [], (_, t, _) => Methods.IsUpper(t)),
        Method("islower", [], (_, t, _) => Methods.IsLower(t)),
    ];

    private static Builtin Method(string name, string[]? parameters, Func<RenderState, string, Arguments, object?> body) =>
        new(name, parameters, (state, self, arguments) =>
        {
            string text = (string)self!;
            state.ChargeText(text.Length);
            return body(state, text, arguments);
        });

    private static bool All(string text, Func<char, bool> matches) => text.Length > 0 && text.All(matches);

    private static string Required(RenderState state, Arguments arguments) =>
        arguments.Text(state, 0) ?? throw state.Fail("expected a string, got 'NoneType'");

    private static string Join(RenderState state, string separator, Arguments arguments)
    {
        var text = new TextBuilder(state);
        IReadOnlyList<object?> items = Kinds.Items(state, arguments.Required(state, 0, "iterable"));
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
                text.Append(separator);
            text.Append(items[i] as string ?? throw state.Fail($"join needs strings, item {i} is '{Kinds.Name(items[i])}'"));
        }

        return text.ToString();
    }

    private static bool AnyAffix(RenderState state, string text, Arguments arguments, Func<string, string, bool> matches)
    {
        object? affix = arguments.Required(state, 0, "prefix or suffix");
        if (arguments[1] is not null || arguments[2] is not null)
            text = (string)Access.Slice(state, text, arguments[1], arguments[2], null)!;
        return affix switch
        {
            string one => matches(text, one),
            TupleValue several => several.Items.Any(i => i is string one && matches(text, one)),
            _ => throw state.Fail($"expected a string or a tuple of strings, got '{Kinds.Name(affix)}'"),
        };
    }

    private static TupleValue Partition(RenderState state, string text, Arguments arguments, bool last)
    {
        string separator = Required(state, arguments);
        if (separator.Length == 0)
            throw state.Fail("a text cannot be split at an empty separator");
        int at = last ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        if (at < 0)
            return last ? new TupleValue("", "", text) : new TupleValue(text, "", "");
        return new TupleValue(text[..at], separator, text[(at + separator.Length)..]);
    }

    private static long Search(RenderState state, string text, Arguments arguments, bool last)
    {
        string wanted = Required(state, arguments);
        long start = arguments.Integer(state, 1, 0);
        int length = PythonText.Length(text);
        start = Math.Clamp(start < 0 ? start + length : start, 0, length);
        string part = arguments[1] is null && arguments[2] is null
            ? text
            : (string)Access.Slice(state, text, arguments[1], arguments[2], null)!;
        int at = last ? part.LastIndexOf(wanted, StringComparison.Ordinal) : part.IndexOf(wanted, StringComparison.Ordinal);
        return at < 0 ? -1 : start + PythonText.Length(part[..at]);
    }

    private static long Count(RenderState state, string text, string wanted) => wanted.Length == 0
        ? PythonText.Length(text) + 1
        : TextOperations.Split(state, text, wanted, -1).Count - 1;

    private static string ZeroFill(RenderState state, string text, long width)
    {
        state.ChargeText(width);
        bool signed = text.StartsWith('-') || text.StartsWith('+');
        string digits = text[(signed ? 1 : 0)..];
        return (signed ? text[..1] : "") + digits.PadLeft((int)Math.Max(0, width - (signed ? 1 : 0)), '0');
    }
}
