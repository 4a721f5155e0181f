using System.Globalization;
using Eigengate.ChatTemplates.Runtime;

namespace Eigengate.ChatTemplates.Library;

/// <summary>The strftime directives of the C locale; <c>%-d</c> and its like drop leading zeros.</summary>
internal static class DateFormat
{
    public static string Format(RenderState state, DateTimeOffset now, string format)
    {
        var text = new TextBuilder(state);
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            bool bare = format[i + 1] == '-' && i + 2 < format.Length;
            i += bare ? 2 : 1;
            string field = Directive(now, format[i]) ?? "%" + format[i];
            text.Append(bare && field.TrimStart('0') is { Length: > 0 } shorter ? shorter : bare ? "0" : field);
        }

        return text.ToString();
    }

    private static string? Directive(DateTimeOffset now, char directive) => directive switch
    {
        'a' => now.Net("ddd"),
        'A' => now.Net("dddd"),
        'b' or 'h' => now.Net("MMM"),
        'B' => now.Net("MMMM"),
        'c' => $"{now.Net("ddd MMM")} {now.Day,2} {now.Net("HH:mm:ss yyyy")}",
        'd' => now.Net("dd"),
        'D' or 'x' => now.Net("MM'/'dd'/'yy"),
        'e' => now.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'f' => now.Net("ffffff"),
        'F' => now.Net("yyyy-MM-dd"),
        'H' => now.Net("HH"),
        'I' => now.Net("hh"),
        'j' => now.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
        'm' => now.Net("MM"),
        'M' => now.Net("mm"),
        'n' => "\n",
        'p' => now.Net("tt"),
        'R' => now.Net("HH:mm"),
        'S' => now.Net("ss"),
        't' => "\t",
        'T' or 'X' => now.Net("HH:mm:ss"),
        'u' => (now.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)now.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'w' => ((int)now.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'y' => now.Net("yy"),
        'Y' => now.Net("yyyy"),
        // Python's naive local time has no zone.
        'z' or 'Z' => "",
        '%' => "%",
        _ => null,
    };

    private static string Net(this DateTimeOffset now, string format) => now.ToString(format, CultureInfo.InvariantCulture);
}
