using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

internal static class JsonFilter
{
    /// <summary>Plain JSON as the tokenizers library defines this filter, not Jinja's own HTML-safe variant.</summary>
    public static Builtin ToJson { get; } = new("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"], Dump);

    private static string Dump(RenderState state, object? value, Arguments arguments)
    {
        string? indent = arguments[1] as string;
        if (indent is null && arguments[1] is not null)
        {
            long width = arguments.Integer(state, 1, 0);
            state.ChargeText(width);
            indent = new string(' ', (int)Math.Max(0, width));
        }

        (string item, string key) = (indent is null ? ", " : ",", ": ");
        if (arguments[2] is SequenceValue { Items: [string first, string second] })
            (item, key) = (first, second);
        else if (arguments[2] is not null)
            throw state.Fail("separators is a pair of strings");
        return new JsonText(state, indent, item, key, arguments.Flag(state, 0, false), arguments.Flag(state, 3, false)).Dump(value);
    }
}
