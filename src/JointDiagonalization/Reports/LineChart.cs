namespace Eigengate.JointDiagonalization.Reports;

/// <summary>One line of a chart.</summary>
/// <param name="Name">In the key, and in the text that a pointer shows.</param>
/// <param name="Style">Number of the colour, dash and marker; equal numbers look alike in all charts.</param>
/// <param name="Points">In the order of drawing.</param>
internal sealed record Series(string Name, int Style, (double X, double Y, string Note)[] Points);

/// <summary>Lines with markers over two axes, as SVG. Lines differ by colour, marker and dash, so that none depends on colour.</summary>
internal sealed record LineChart
{
    private const int Left = 68;
    private const int Right = 14;
    private const int Top = 12;
    private const int Bottom = 46;
    private const int Inset = 14;

    internal const int Styles = 6;

    /// <summary>A broad pale line without markers, for what others are measured by.</summary>
    internal const int Band = 6;

    internal int Width { get; init; } = 460;

    internal int Height { get; init; } = 300;

    internal required string Title { get; init; }

    internal required string XLabel { get; init; }

    internal required string YLabel { get; init; }

    internal required IReadOnlyList<Series> Series { get; init; }

    /// <summary>Positions of labels below the axis; null takes round percentages.</summary>
    internal IReadOnlyList<(double X, string Label)>? XTicks { get; init; }

    internal bool Logarithmic { get; init; }

    /// <summary>Upright lines at places worth naming.</summary>
    internal IReadOnlyList<(double X, string Label)> Rules { get; init; } = [];

    /// <summary>A single value to stand out, such as what this bundle reached.</summary>
    internal (double X, double Y, string Note)? Mark { get; init; }

    internal Html Draw()
    {
        double[] ys = [.. Series.SelectMany(s => s.Points).Select(p => p.Y), .. Mark is { } mark ? [mark.Y] : Array.Empty<double>()];
        double[] xs = [.. Series.SelectMany(s => s.Points).Select(p => p.X), .. Mark is { } at ? [at.X] : Array.Empty<double>()];
        Scale y = Scale.Linear(0, ys.Max(), Height - Bottom, Top);
        Scale x = XTicks is null
            ? Scale.Linear(xs.Min(), xs.Max(), Left, Width - Right)
            : Scale.Between(xs.Min(), xs.Max(), Left + Inset, Width - Right - Inset, Logarithmic);
        return Html.Of($"""
            <svg viewBox="0 0 {Width} {Height}" role="img" aria-label="{Title}"><title>{Title}</title>
            {Grid(x, y)}
            {Rules.Select((r, i) => Html.Of($"""<g class="rule"><path d="M{x.At(r.X):0.#} {Top}V{Height - Bottom}"/><text x="{x.At(r.X) + 4:0.#}" y="{Top + 12 + (16 * i)}">{r.Label}</text></g>"""))}
            {Series.Select(s => Line(s, x, y))}
            {Ring(x, y)}
            </svg>
            """);
    }

    internal Html Key(string? mark = null) => Html.Of($"""
        <ul class="key">{Series.Select(s => Html.Of($"""<li><svg viewBox="0 0 34 12" aria-hidden="true"><path class="line s{s.Style}" d="M1 6H33"/>{(s.Style == Band ? Html.Empty : Marker(s.Style, 17, 6, ""))}</svg>{s.Name}</li>"""))}
        {(mark is null ? Html.Empty : Html.Of($"""<li><svg viewBox="0 0 34 12" aria-hidden="true"><circle class="ring" cx="17" cy="6" r="4.5"/></svg>{mark}</li>"""))}</ul>
        """);

    private Html Grid(Scale x, Scale y)
    {
        double floor = Height - Bottom;
        IEnumerable<(double X, string Label)> xTicks = XTicks ?? [.. x.Ticks.Select(t => (t, Labels.PercentTick(t)))];
        return Html.Of($"""
            <g class="grid">{y.Ticks.Select(t => Html.Of($"""<path d="M{Left} {y.At(t):0.#}H{Width - Right}"/>"""))}</g>
            <g class="ticks" text-anchor="end">{y.Ticks.Select(t => Html.Of($"""<text x="{Left - 6}" y="{y.At(t) + 4:0.#}">{Labels.PercentTick(t)}</text>"""))}</g>
            <g class="ticks" text-anchor="middle">{xTicks.Select(t => Html.Of($"""<path d="M{x.At(t.X):0.#} {floor}v5"/><text x="{x.At(t.X):0.#}" y="{floor + 18}">{t.Label}</text>"""))}</g>
            <text class="axis" text-anchor="middle" x="{(Left + Width - Right) / 2}" y="{Height - 8}">{XLabel}</text>
            <text class="axis" text-anchor="middle" transform="translate(13 {(Top + (int)floor) / 2}) rotate(-90)">{YLabel}</text>
            """);
    }

    private static Html Line(Series series, Scale x, Scale y) => Html.Of($"""
        <g><path class="line s{series.Style}" d="M{string.Join("L", series.Points.Select(p => FormattableString.Invariant($"{x.At(p.X):0.#} {y.At(p.Y):0.#}")))}"/>
        {series.Points.Where(_ => series.Style != Band).Select(p => Marker(series.Style, x.At(p.X), y.At(p.Y), $"{series.Name}: {p.Note}"))}</g>
        """);

    private Html Ring(Scale x, Scale y) => Mark is not { } mark ? Html.Empty : Html.Of($"""
        <circle class="ring" cx="{x.At(mark.X):0.#}" cy="{y.At(mark.Y):0.#}" r="7"><title>{mark.Note}</title></circle>
        """);

    private static Html Marker(int style, double x, double y, string note)
    {
        Html title = note.Length == 0 ? Html.Empty : Html.Of($"<title>{note}</title>");
        return (style % 3) switch
        {
            0 => Html.Of($"""<circle class="dot s{style}" cx="{x:0.#}" cy="{y:0.#}" r="3.6">{title}</circle>"""),
            1 => Html.Of($"""<rect class="dot s{style}" x="{x - 3.3:0.#}" y="{y - 3.3:0.#}" width="6.6" height="6.6">{title}</rect>"""),
            _ => Html.Of($"""<path class="dot s{style}" d="M{x:0.#} {y - 4.4:0.#}l4.4 7.8h-8.8z">{title}</path>"""),
        };
    }
}
