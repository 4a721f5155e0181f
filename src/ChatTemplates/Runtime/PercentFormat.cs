using System.Globalization;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>The printf-like <c>%</c> operator of strings: %s %r %d %i %x %f with optional width, flags and precision.</summary>
internal static class PercentFormat
{
    public static string Format(RenderState state, string format, object? arguments)
    {
        IReadOnlyList<object?> values = arguments is TupleValue tuple ? tuple.Items : [arguments];
        var text = new TextBuilder(state);
        int used = 0;
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                text.Append(format[i]);
                continue;
            }

            Field field = ReadField(state, format, ref i);
            if (field.Conversion == '%')
            {
                text.Append('%');
                continue;
            }

            object? value = field.Key is null
                ? used < values.Count ? values[used++] : throw state.Fail("not enough arguments for the format string")
                : arguments is DictValue map && map.TryGet(field.Key, out object? named) ? named
                : throw state.Fail($"the format string needs a dict with '{field.Key}'");
            string shown = Convert(state, field, value);
            state.ChargeText(field.Width);
            text.Append(field.Left ? shown.PadRight(field.Width)
                : field.Zero ? PadZeros(shown, field.Width) : shown.PadLeft(field.Width));
        }

        if (used < values.Count && arguments is not DictValue)
            throw state.Fail("not all arguments were used by the format string");
        return text.ToString();
    }

    private static Field ReadField(RenderState state, string format, ref int i)
    {
        i++;
        string? key = null;
        if (i < format.Length && format[i] == '(' && format.IndexOf(')', i) is var close and > 0)
        {
            key = format[(i + 1)..close];
            i = close + 1;
        }

        bool left = false;
        bool zero = false;
        for (; i < format.Length && format[i] is '-' or '0'; i++)
        {
            left |= format[i] == '-';
            zero |= format[i] == '0';
        }

        int width = ReadNumber(state, format, ref i);
        int? precision = null;
        if (i < format.Length && format[i] == '.')
        {
            i++;
            precision = ReadNumber(state, format, ref i);
        }

        return i < format.Length
            ? new Field(key, left, zero && !left, width, precision, format[i])
            : throw state.Fail("the format string ends inside a field");
    }

    private static int ReadNumber(RenderState state, string format, ref int i)
    {
        int number = 0;
        for (; i < format.Length && char.IsAsciiDigit(format[i]); i++)
        {
            number = (number * 10) + (format[i] - '0');
            if (number > 1000)
                throw state.Fail("a field of the format string is wider than 1000");
        }

        return number;
    }

    private static string Convert(RenderState state, Field field, object? value)
    {
        switch (field.Conversion)
        {
            case 's': return Cut(ValueText.Str(state, value), field.Precision);
            case 'r': return Cut(ValueText.Repr(state, value), field.Precision);
            case 'f' when Kinds.IsNumber(value): return RealText.Fixed(Kinds.ToDouble(value), field.Precision ?? 6);
            case 'd' or 'i' when Kinds.TryInteger(value, out long number): return number.ToString(CultureInfo.InvariantCulture);
            case 'd' or 'i' when value is double real && Math.Abs(real) < 9e18:
                return ((long)real).ToString(CultureInfo.InvariantCulture);
            case 'x' when Kinds.TryInteger(value, out long number):
                return (number < 0 ? "-" : "") + Math.Abs((decimal)number).ToHex();
            default: throw state.Fail($"%{field.Conversion} does not work on '{Kinds.Name(value)}'");
        }
    }

    private static string ToHex(this decimal magnitude) => ((ulong)magnitude).ToString("x", CultureInfo.InvariantCulture);

    private static string Cut(string text, int? precision) => precision < text.Length ? text[..precision.Value] : text;

    private static string PadZeros(string text, int width) =>
        text.StartsWith('-') ? "-" + text[1..].PadLeft(width - 1, '0') : text.PadLeft(width, '0');

    private readonly record struct Field(string? Key, bool Left, bool Zero, int Width, int? Precision, char Conversion);
}
