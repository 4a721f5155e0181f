namespace Eigengate.JointDiagonalization.Reports;

/// <summary>Upright bars over named or numeric places, as SVG.</summary>
internal sealed record BarChart
{
    private const int Width = 460;
    private const int Height = 260;
    private const int Left = 56;
    private const int Right = 10;
    private const int Top = 20;
    private const int Bottom = 46;
    private const int WidestBar = 70;
    private const int MostLabelled = 16;

    internal required string Title { get; init; }

    internal required string XLabel { get; init; }

    internal required string YLabel { get; init; }

    internal required IReadOnlyList<(double Value, string Label, string Note)> Bars { get; init; }

    /// <summary>Labels stand between bars, at their left edges, as in a histogram.</summary>
    internal string? LastEdge { get; init; }

    internal Html Draw()
    {
        Scale y = Scale.Linear(0, Bars.Max(b => b.Value), Height - Bottom, Top);
        double floor = Height - Bottom, step = (double)(Width - Left - Right) / Bars.Count;
        bool few = Bars.Count <= MostLabelled, histogram = LastEdge is not null;
        double gap = histogram ? 1 : Math.Max(step - WidestBar, step * 0.2);
        return Html.Of($"""
            <svg viewBox="0 0 {Width} {Height}" role="img" aria-label="{Title}"><title>{Title}</title>
            <g class="grid">{y.Ticks.Select(t => Html.Of($"""<path d="M{Left} {y.At(t):0.#}H{Width - Right}"/>"""))}</g>
            <g class="ticks" text-anchor="end">{y.Ticks.Where(t => t == Math.Floor(t)).Select(t => Html.Of($"""<text x="{Left - 6}" y="{y.At(t) + 4:0.#}">{Labels.Number(t)}</text>"""))}</g>
            <g>{Bars.Select((b, i) => Html.Of($"""<rect class="bar" x="{Left + (step * i) + (gap / 2):0.#}" y="{y.At(b.Value):0.#}" width="{step - gap:0.#}" height="{floor - y.At(b.Value):0.#}"><title>{b.Note}</title></rect>"""))}</g>
            <g class="ticks" text-anchor="middle">{(few && !histogram ? Bars.Select((b, i) => Html.Of($"""<text x="{Left + (step * (i + 0.5)):0.#}" y="{y.At(b.Value) - 5:0.#}">{Labels.Number(b.Value)}</text>""")) : [])}
            {Places().Select(p => Html.Of($"""<text x="{Left + (step * p.At):0.#}" y="{floor + 17}">{p.Label}</text>"""))}</g>
            <text class="axis" text-anchor="middle" x="{(Left + Width - Right) / 2}" y="{Height - 8}">{XLabel}</text>
            <text class="axis" text-anchor="middle" transform="translate(12 {(Top + (int)floor) / 2}) rotate(-90)">{YLabel}</text>
            </svg>
            """);
    }

    private IEnumerable<(double At, string Label)> Places()
    {
        double offset = LastEdge is null ? 0.5 : 0;
        int every = LastEdge is null ? Math.Max(1, (int)Math.Ceiling(Bars.Count / (double)MostLabelled)) : Math.Max(1, Bars.Count / 5);
        for (int i = 0; i < Bars.Count; i += every)
            yield return (i + offset, Bars[i].Label);
        if (LastEdge is not null && Bars.Count % every == 0)
            yield return (Bars.Count, LastEdge);
    }
}
