using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Eigengate.Inference.Tokenization.Unicode;

/// <summary>
/// Unicode normalization forms D and C (UAX 15). The server runs in invariant globalization mode, where
/// <see cref="string.Normalize()"/> changes nothing, so the tables are its own.
/// </summary>
internal static class CanonicalForm
{
    private const int HangulFirst = 0xAC00;
    private const int LeadFirst = 0x1100;
    private const int VowelFirst = 0x1161;
    private const int TrailBefore = 0x11A7;
    private const int Vowels = 21;
    private const int Trails = 28;
    private const int HangulCount = 19 * Vowels * Trails;

    private static readonly Dictionary<int, byte> Classes = [];
    private static readonly Dictionary<int, (int First, int Second)> Decompositions = [];
    private static readonly Dictionary<(int First, int Second), int> Compositions = [];

    static CanonicalForm()
    {
        using var resource = typeof(CanonicalForm).Assembly.GetManifestResourceStream("canonical.txt")!;
        using var lines = new StreamReader(resource);
        while (lines.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var parts = line.TrimEnd('!').Split('-', '=', ' ');
            if (line.Contains('='))
                AddDecomposition(Hex(parts[0]), Hex(parts[1]), parts.Length > 2 ? Hex(parts[2]) : -1, composes: !line.EndsWith('!'));
            else
                AddClass(Hex(parts[0]), Hex(parts[1]), byte.Parse(parts[2], CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Form C: decomposed, ordered and composed again. Lone surrogates become U+FFFD.</summary>
    public static string Compose(string text)
    {
        // Nothing below U+0300 combines or decomposes except into what Latin-1 letters compose back to.
        if (!text.AsSpan().ContainsAnyInRange('\u0300', '\uFFFF'))
            return text;
        var points = DecomposeToPoints(text);
        var kept = 0;
        var starter = -1;
        var lastClass = 0;
        for (var i = 0; i < points.Count; i++)
        {
            var point = points[i];
            var own = Class(point);
            // Blocked when something of the same or a higher class stands between.
            var reachable = starter >= 0 && (kept - 1 == starter || lastClass < own);
            if (reachable && TryPair(points[starter], point, out var composed))
            {
                points[starter] = composed;
                continue;
            }

            if (own == 0)
                starter = kept;
            lastClass = own;
            points[kept++] = point;
        }

        return Write(CollectionsMarshal.AsSpan(points)[..kept]);
    }

    /// <summary>Form D: decomposed, marks in canonical order. Lone surrogates become U+FFFD.</summary>
    public static string Decompose(string text) =>
        Ascii.IsValid(text) ? text : Write(CollectionsMarshal.AsSpan(DecomposeToPoints(text)));

    private static List<int> DecomposeToPoints(string text)
    {
        var points = new List<int>(text.Length + 16);
        foreach (var rune in text.EnumerateRunes())
            Expand(rune.Value, points);
        // Stable insertion sort of each run of marks by class.
        for (var i = 1; i < points.Count; i++)
        {
            var own = Class(points[i]);
            for (var at = i; own != 0 && at > 0 && Class(points[at - 1]) > own; at--)
                (points[at - 1], points[at]) = (points[at], points[at - 1]);
        }

        return points;
    }

    private static void Expand(int point, List<int> points)
    {
        var syllable = point - HangulFirst;
        if ((uint)syllable < HangulCount)
        {
            points.Add(LeadFirst + syllable / (Vowels * Trails));
            points.Add(VowelFirst + syllable % (Vowels * Trails) / Trails);
            if (syllable % Trails != 0)
                points.Add(TrailBefore + syllable % Trails);
        }
        else if (Decompositions.TryGetValue(point, out var parts))
        {
            Expand(parts.First, points);
            if (parts.Second >= 0)
                Expand(parts.Second, points);
        }
        else
        {
            points.Add(point);
        }
    }

    private static bool TryPair(int first, int second, out int composed)
    {
        var (lead, vowel) = (first - LeadFirst, second - VowelFirst);
        if ((uint)lead < 19 && (uint)vowel < Vowels)
        {
            composed = HangulFirst + (lead * Vowels + vowel) * Trails;
            return true;
        }

        var (syllable, trail) = (first - HangulFirst, second - TrailBefore);
        if ((uint)syllable < HangulCount && syllable % Trails == 0 && trail is > 0 and < Trails)
        {
            composed = first + trail;
            return true;
        }

        return Compositions.TryGetValue((first, second), out composed);
    }

    private static int Class(int point) => point < 0x300 ? 0 : Classes.GetValueOrDefault(point);

    private static string Write(ReadOnlySpan<int> points)
    {
        var text = new StringBuilder(points.Length);
        Span<char> units = stackalloc char[2];
        foreach (var point in points)
            text.Append(units[..new Rune(point).EncodeToUtf16(units)]);
        return text.ToString();
    }

    private static void AddClass(int first, int last, byte value)
    {
        for (var point = first; point <= last; point++)
            Classes[point] = value;
    }

    private static void AddDecomposition(int point, int first, int second, bool composes)
    {
        Decompositions[point] = (first, second);
        if (composes)
            Compositions[(first, second)] = point;
    }

    private static int Hex(string digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
