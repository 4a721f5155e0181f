using System.Globalization;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>Floating-point numbers as Python prints and rounds them.</summary>
internal static class RealText
{
    /// <summary>The shortest digits that read back as the same number, always with a point or an exponent.</summary>
    public static string Repr(double value)
    {
        if (double.IsNaN(value))
            return "nan";
        if (double.IsInfinity(value))
            return value > 0 ? "inf" : "-inf";
        string scientific = value.ToString("E16", CultureInfo.InvariantCulture);
        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        if (value == 0)
            return shortest + ".0";
        int exponent = int.Parse(scientific[(scientific.IndexOf('E') + 1)..], CultureInfo.InvariantCulture);
        (string sign, string digits) = Digits(shortest);
        if (exponent is < -4 or >= 16)
        {
            string fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }

        if (exponent < 0)
            return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        return digits.Length <= exponent + 1
            ? $"{sign}{digits.PadRight(exponent + 1, '0')}.0"
            : $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    /// <summary>Fixed notation; ties of the exact binary value go to the even digit.</summary>
    public static string Fixed(double value, int decimals)
    {
        if (!double.IsFinite(value))
            return Repr(value);
        // Sixty more digits than asked for show a tie exactly: the numbers that can tie at all have fewer.
        string exact = Math.Abs(value).ToString("F" + (decimals + 60), CultureInfo.InvariantCulture);
        int point = exact.IndexOf('.', StringComparison.Ordinal);
        int cut = decimals == 0 ? point : point + 1 + decimals;
        string kept = exact[..cut];
        string rest = exact[cut..].TrimStart('.').TrimEnd('0');
        bool odd = (kept[^1] - '0') % 2 == 1;
        bool up = string.CompareOrdinal(rest, "5") > 0 || (rest == "5" && odd);
        return (double.IsNegative(value) ? "-" : "") + (up ? Increment(kept) : kept);
    }

    public static double Round(double value, int decimals)
    {
        if (!double.IsFinite(value))
            return value;
        if (decimals >= 0)
            return decimals > 22 ? value : double.Parse(Fixed(value, decimals), CultureInfo.InvariantCulture);
        double unit = Math.Pow(10, -decimals);
        return Math.Round(value / unit, MidpointRounding.ToEven) * unit;
    }

    private static (string Sign, string Digits) Digits(string shortest)
    {
        int end = shortest.IndexOf('E', StringComparison.Ordinal);
        string mantissa = (end < 0 ? shortest : shortest[..end]).Replace(".", "", StringComparison.Ordinal);
        string sign = mantissa[0] == '-' ? "-" : "";
        string digits = mantissa[sign.Length..].Trim('0');
        return (sign, digits.Length == 0 ? "0" : digits);
    }

    private static string Increment(string digits)
    {
        char[] result = digits.ToCharArray();
        for (int i = result.Length - 1; i >= 0; i--)
        {
            if (result[i] == '.')
                continue;
            if (result[i]++ != '9')
                return new string(result);
            result[i] = '0';
        }

        return "1" + new string(result);
    }
}
