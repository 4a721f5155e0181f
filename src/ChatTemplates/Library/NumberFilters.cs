using System.Globalization;
using System.Numerics;
using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

internal static class NumberFilters
{
    public static IEnumerable<Builtin> Table { get; } =
    [
        new("int", ["default", "base"], (s, v, a) => ToInteger(s, v, a)),
        new("float", ["default"], (s, v, a) => TryReal(ChargeText(s, Kinds.Defined(s, v)), out double real) ? real : a.Has(0) ? a[0] : 0.0),
        new("abs", [], (s, v, _) => Abs(s, v)),
        new("round", ["precision", "method"], (s, v, a) => Round(s, v, (int)Math.Clamp(a.Integer(s, 0, 0), -300, 300), a.Text(s, 1) ?? "common")),
    ];

    private static object? ToInteger(RenderState state, object? value, Arguments arguments)
    {
        object? fallback = arguments.Has(0) ? arguments[0] : 0L;
        Kinds.Defined(state, value);
        ChargeText(state, value);
        if (value is string text && TryParse(text, (int)arguments.Integer(state, 1, 10), out long parsed))
            return parsed;
        if (Kinds.TryInteger(value, out long integer))
            return integer;
        if (value is BigInteger)
            return value;
        return TryReal(value, out double real) && Math.Abs(real) < 9e18 ? (long)real : fallback;
    }

    private static object? ChargeText(RenderState state, object? value)
    {
        if (value is string text)
            state.ChargeText(text.Length);
        return value;
    }

    private static bool TryParse(string text, int radix, out long value)
    {
        text = PythonText.Trim(text, null).Replace("_", "", StringComparison.Ordinal);
        if (radix == 10)
            return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);
        value = 0;
        bool negative = text.StartsWith('-');
        string digits = negative ? text[1..] : text;
        string prefix = radix switch { 16 => "0x", 8 => "0o", 2 => "0b", _ => "" };
        if (prefix.Length > 0 && digits.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            digits = digits[2..];
        foreach (char c in digits)
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetter(c) ? char.ToLowerInvariant(c) - 'a' + 10 : radix;
            if (digit >= radix || value > (long.MaxValue - digit) / radix)
                return false;
            value = (value * radix) + digit;
        }

        value = negative ? -value : value;
        return digits.Length > 0;
    }

    private static bool TryReal(object? value, out double real)
    {
        real = 0;
        if (Kinds.IsNumber(value))
        {
            real = Kinds.ToDouble(value);
            return true;
        }

        if (value is not string text)
            return false;
        text = PythonText.Trim(text, null).Replace("_", "", StringComparison.Ordinal);
        switch (text.TrimStart('+', '-').ToLowerInvariant())
        {
            case "inf" or "infinity":
                real = text.StartsWith('-') ? double.NegativeInfinity : double.PositiveInfinity;
                return true;
            case "nan":
                real = double.NaN;
                return true;
        }

        return double.TryParse(
            text,
            NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent,
            CultureInfo.InvariantCulture,
            out real);
    }

    private static object? Abs(RenderState state, object? value) => Kinds.Defined(state, value) switch
    {
        double real => (object)Math.Abs(real),
        BigInteger big => BigInteger.Abs(big),
        _ when Kinds.TryInteger(value, out long integer) && integer != long.MinValue => Math.Abs(integer),
        _ => throw state.Fail($"abs does not work on '{Kinds.Name(value)}'"),
    };

    private static object? Round(RenderState state, object? value, int precision, string method)
    {
        Kinds.Defined(state, value);
        if (method is not ("common" or "ceil" or "floor"))
            throw state.Fail("the method of round is 'common', 'ceil' or 'floor'");
        if (!Kinds.IsNumber(value))
            throw state.Fail($"round does not work on '{Kinds.Name(value)}'");
        if (method == "common")
            return value is double real ? RealText.Round(real, precision) : precision >= 0 ? value : RealText.Round(Kinds.ToDouble(value), precision);
        double unit = Math.Pow(10, precision);
        double scaled = Kinds.ToDouble(value) * unit;
        return (method == "ceil" ? Math.Ceiling(scaled) : Math.Floor(scaled)) / unit;
    }
}
