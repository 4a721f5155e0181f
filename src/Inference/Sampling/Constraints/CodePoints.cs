namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>A set of Unicode scalar values (surrogates never belong) as sorted ranges that do not touch.</summary>
internal sealed class CodePoints
{
    public static readonly CodePoints All = Of((0, 0xD7FF), (0xE000, 0x10FFFF));

    private CodePoints(IReadOnlyList<(int First, int Last)> ranges) => Ranges = ranges;

    public IReadOnlyList<(int First, int Last)> Ranges { get; }

    public bool IsEmpty => Ranges.Count == 0;

    /// <summary>Equal for equal sets.</summary>
    public string Key => string.Join(',', Ranges.Select(r => $"{r.First:x}-{r.Last:x}"));

    public static CodePoints Of(params IEnumerable<(int First, int Last)> ranges)
    {
        var merged = new List<(int First, int Last)>();
        foreach (var (first, last) in ranges.SelectMany(WithoutSurrogates).Where(r => r.First <= r.Last).Order())
        {
            if (merged.Count > 0 && first <= merged[^1].Last + 1)
                merged[^1] = (merged[^1].First, Math.Max(merged[^1].Last, last));
            else
                merged.Add((first, last));
        }

        return new CodePoints(merged);
    }

    public static CodePoints Of(string characters) => Of(characters.EnumerateRunes().Select(r => (r.Value, r.Value)));

    public CodePoints Except(CodePoints other) => other.Complement().Intersect(this);

    public CodePoints Complement()
    {
        var gaps = new List<(int, int)>();
        var next = 0;
        foreach (var (first, last) in Ranges)
        {
            gaps.Add((next, first - 1));
            next = last + 1;
        }

        gaps.Add((next, 0x10FFFF));
        return Of(gaps);
    }

    public CodePoints Intersect(CodePoints other)
    {
        var common = new List<(int First, int Last)>();
        for (int i = 0, j = 0; i < Ranges.Count && j < other.Ranges.Count;)
        {
            var (a, b) = (Ranges[i], other.Ranges[j]);
            var (first, last) = (Math.Max(a.First, b.First), Math.Min(a.Last, b.Last));
            if (first <= last)
                common.Add((first, last));
            if (a.Last < b.Last)
                i++;
            else
                j++;
        }

        return new CodePoints(common);
    }

    private static (int First, int Last)[] WithoutSurrogates((int First, int Last) range) =>
        range.Last < 0xD800 || range.First > 0xDFFF ? [range] : [(range.First, Math.Min(range.Last, 0xD7FF)), (Math.Max(range.First, 0xE000), range.Last)];
}
