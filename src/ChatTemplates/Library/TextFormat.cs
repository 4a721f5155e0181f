using System.Globalization;
using Eigengate.ChatTemplates.Runtime;

namespace Eigengate.ChatTemplates.Library;

/// <summary><c>str.format</c> with positional and named fields; format specifications are refused.</summary>
internal static class TextFormat
{
    public static object? Format(RenderState state, string format, Arguments arguments)
    {
        var text = new TextBuilder(state);
        int automatic = 0;
        for (int i = 0; i < format.Length; i++)
        {
            bool doubled = i + 1 < format.Length && format[i + 1] == format[i];
            if (format[i] is not ('{' or '}') || doubled)
            {
                i += format[i] is '{' or '}' ? 1 : 0;
                text.Append(format[i]);
                continue;
            }

            int close = format[i] == '{' ? format.IndexOf('}', i) : -1;
            if (close < 0)
                throw state.Fail("unbalanced braces in a format string");
            text.Append(ValueText.Str(state, Field(state, format[(i + 1)..close], arguments, ref automatic)));
            i = close;
        }

        return text.ToString();
    }

    private static object? Field(RenderState state, string field, Arguments arguments, ref int automatic)
    {
        if (field.AsSpan().ContainsAny(":!.[{"))
            throw state.Fail($"the field '{{{field}}}' is more than a name or a number, which format does not support here");
        int index = field.Length == 0 ? automatic++
            : int.TryParse(field, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1;
        if (index >= 0 && index < arguments.Positional.Count)
            return arguments.Positional[index];
        return index < 0 && arguments.TryNamed(field, out object? value)
            ? value
            : throw state.Fail($"format has no value for '{{{field}}}'");
    }
}
