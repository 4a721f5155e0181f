namespace Eigengate.JointDiagonalization.Reports;

/// <summary>Error of each layer and projection as a coloured grid; the palette (cividis) is readable without red or green.</summary>
internal sealed class HeatMap(IReadOnlyList<ReportCell> cells)
{
    private const int RowHeight = 26;
    private const int Top = 8;
    private const int NarrowestWithText = 40;

    // Seven stops of cividis, from low to high.
    private static readonly (int R, int G, int B)[] Palette = [(0, 34, 78), (46, 62, 108), (86, 92, 108), (125, 124, 120), (166, 157, 117), (210, 193, 95), (254, 232, 56)];

    internal Html Draw()
    {
        string[] rows = [.. cells.Select(c => c.Row).Distinct()];
        string[] columns = [.. cells.Select(c => c.Column).Distinct()];
        double highest = cells.Max(c => c.Value);
        int left = 16 + (7 * rows.Max(r => r.Length));
        int cell = Math.Clamp(840 / columns.Length, 16, 64);
        int width = left + (cell * columns.Length) + 8, grid = Top + (RowHeight * rows.Length), height = grid + 84;
        return Html.Of($"""
            <svg viewBox="0 0 {width} {height}" style="max-width:{width}px;min-width:{Math.Min(width, 560)}px" role="img" aria-label="Error by layer and projection">
            <title>Error by layer and projection, from 0 to {Labels.Percent(highest)}</title>
            <g class="ticks" text-anchor="end">{rows.Select((r, i) => Html.Of($"""<text x="{left - 6}" y="{Top + (RowHeight * i) + 17}">{r}</text>"""))}</g>
            {cells.Select(c => Cell(c, left + (cell * Array.IndexOf(columns, c.Column)), Top + (RowHeight * Array.IndexOf(rows, c.Row)), cell, highest))}
            <g class="ticks" text-anchor="middle">{columns.Select((c, i) => (c, i)).Where(c => c.i % Every(cell) == 0).Select(c => Html.Of($"""<text x="{left + (cell * c.i) + (cell / 2)}" y="{grid + 16}">{c.c}</text>"""))}</g>
            <text class="axis" text-anchor="middle" x="{left + (cell * columns.Length / 2)}" y="{grid + 34}">layer</text>
            {Legend(left, grid + 46, highest)}
            </svg>
            """);
    }

    private static int Every(int cell) => cell >= 24 ? 1 : 2;

    private static Html Cell(ReportCell cell, int x, int y, int width, double highest)
    {
        double share = highest > 0 ? cell.Value / highest : 0;
        string color = Color(share), ink = share > 0.55 ? "#000" : "#fff";
        Html text = width < NarrowestWithText ? Html.Empty : Html.Of($"""<text x="{x + (width / 2)}" y="{y + 17}" fill="{ink}" class="value" text-anchor="middle">{Short(cell.Value)}</text>""");
        return Html.Of($"""<g><rect x="{x}" y="{y}" width="{width - 1}" height="{RowHeight - 1}" fill="{color}"><title>{cell.Note}: {Labels.Percent(cell.Value)}</title></rect>{text}</g>""");
    }

    private static Html Legend(int x, int y, double highest)
    {
        const int Steps = 24, Step = 8;
        return Html.Of($"""
            <g>{Enumerable.Range(0, Steps).Select(i => Html.Of($"""<rect x="{x + (Step * i)}" y="{y}" width="{Step + 0.5}" height="10" fill="{Color((i + 0.5) / Steps)}"/>"""))}</g>
            <g class="ticks"><text x="{x}" y="{y + 25}">0</text><text x="{x + (Step * Steps)}" y="{y + 25}" text-anchor="end">{Labels.Percent(highest)}</text></g>
            """);
    }

    private static string Short(double share) => (100 * share).ToString(share < 0.0995 ? "0.0" : "0", System.Globalization.CultureInfo.InvariantCulture);

    private static string Color(double share)
    {
        double position = Math.Clamp(share, 0, 1) * (Palette.Length - 1);
        int low = Math.Min((int)position, Palette.Length - 2);
        double rest = position - low;
        var (a, b) = (Palette[low], Palette[low + 1]);
        return FormattableString.Invariant($"#{Mix(a.R, b.R):x2}{Mix(a.G, b.G):x2}{Mix(a.B, b.B):x2}");

        int Mix(int from, int to) => (int)Math.Round(from + (rest * (to - from)));
    }
}

/// <summary>One cell: where it stands, what it is worth, and what the pointer is told.</summary>
internal sealed record ReportCell(string Row, string Column, double Value, string Note);
