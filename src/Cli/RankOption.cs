using System.CommandLine.Parsing;
using System.Globalization;

namespace Eigengate.Cli;

/// <summary>Basis ranks as options take them: N for a square core, UxV for a rectangular one.</summary>
internal static class RankOption
{
    public static (int U, int V) Parse(ArgumentResult argument) => argument.Tokens is [var token] ? Parse(token.Value, argument) : default;

    public static (int U, int V)[] ParseAll(ArgumentResult argument) => [.. argument.Tokens.Select(token => Parse(token.Value, argument))];

    public static string Format(int rankU, int rankV) =>
        rankU == rankV ? rankU.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{rankU}x{rankV}");

    private static (int U, int V) Parse(string text, ArgumentResult argument)
    {
        int[] ranks = [.. text.Split('x').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int rank) ? rank : 0)];
        if (ranks.Length is 1 or 2 && ranks.All(rank => rank > 0))
            return (ranks[0], ranks[^1]);
        argument.AddError($"--rank takes N or UxV with positive numbers, such as 24 or 32x16; '{text}' is neither");
        return default;
    }
}
