using System.Globalization;
using System.Text.RegularExpressions;

namespace Eigengate.Cli;

/// <summary>Sizes as people write them.</summary>
internal static partial class ByteSize
{
    /// <exception cref="ArgumentException">Not a positive size.</exception>
    public static long Parse(string text)
    {
        Match match = Pattern().Match(text);
        if (!match.Success)
            throw new ArgumentException($"the size '{text}' was not understood; a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB was expected");
        decimal unit = match.Groups[2].Value.ToUpperInvariant() switch
        {
            "KB" => 1e3m,
            "MB" => 1e6m,
            "GB" => 1e9m,
            "TB" => 1e12m,
            "KIB" => 1L << 10,
            "MIB" => 1L << 20,
            "GIB" => 1L << 30,
            "TIB" => 1L << 40,
            _ => 1,
        };
        return decimal.TryParse(match.Groups[1].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
            && number * unit is >= 1 and <= long.MaxValue and var bytes
            ? (long)bytes
            : throw new ArgumentException($"the size '{text}' is out of range; 1 byte to 9 EB were expected");
    }

    public static string Format(long bytes) => bytes switch
    {
        >= 1_000_000_000 => Text($"{bytes / 1e9:F2} GB"),
        >= 1_000_000 => Text($"{bytes / 1e6:F1} MB"),
        >= 1_000 => Text($"{bytes / 1e3:F1} kB"),
        _ => Text($"{bytes} B"),
    };

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\A(\d{1,20}(?:\.\d{1,20})?)\s*(B|[kMGT]B|[KMGT]iB)?\z", RegexOptions.IgnoreCase)]
    private static partial Regex Pattern();
}
