using System.Globalization;
using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>The pictures of a report, each made of its data alone.</summary>
internal static class ReportFigures
{
    private const int HistogramBins = 24;
    private const int MostLayerTicks = 9;
    private static readonly double[] SizeTicks = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];

    internal static LineChart ErrorOverRank(CompressionReport report, ErrorSurvey survey) => new()
    {
        Title = "Mean relative squared error over basis rank, one line per number of clusters",
        XLabel = "basis rank r_U×r_V (logarithmic)",
        YLabel = "relative squared error",
        XTicks = [.. survey.Points.DistinctBy(p => p.Rank[0]).Select(p => ((double)p.Rank[0], Labels.Rank(p.Rank)))],
        Logarithmic = true,
        Series = Lines(survey, p => p.Rank[0]),
        Mark = (report.Rank[0], report.MeanRelSqError, $"this bundle, all modules: {Labels.Percent(report.MeanRelSqError)}"),
    };

    internal static LineChart ErrorOverSize(CompressionReport report, ErrorSurvey survey)
    {
        double smallest = Math.Min(survey.Points.Min(p => 1 - p.ParametersSaved), 1 - report.ParametersSaved);
        double largest = Math.Max(survey.Points.Max(p => 1 - p.ParametersSaved), 1 - report.ParametersSaved);
        return new LineChart
        {
            Title = "Mean relative squared error over size, one line per number of clusters",
            XLabel = "size relative to the adapters (logarithmic)",
            YLabel = "relative squared error",
            XTicks = [.. SizeTicks.Where(t => t >= smallest && t <= largest).Select(t => (t, Labels.PercentTick(t)))],
            Logarithmic = true,
            Series = Lines(survey, p => 1 - p.ParametersSaved),
            Mark = (1 - report.ParametersSaved, report.MeanRelSqError, $"this bundle, all modules: error {Labels.Percent(report.MeanRelSqError)}, saves {Labels.Percent(report.ParametersSaved)}"),
        };
    }

    internal static HeatMap ErrorByModule(CompressionReport report) => new(
    [
        .. report.Modules.Where(m => m.Products > 0).Select(m => (Place: ModulePath.Parse(m.Path), Module: m))
            .OrderBy(m => m.Place.Layer ?? int.MaxValue)
            .Select(m => new ReportCell(m.Place.Projection, m.Place.Layer?.ToString(CultureInfo.InvariantCulture) ?? "–", m.Module.RelSqError, m.Module.Path)),
    ]);

    internal static BarChart Histogram(CompressionReport report)
    {
        double highest = Math.Max(report.Adapters.Max(a => a.RelSqError), 1e-12), width = Scale.RoundStep(highest / HistogramBins);
        int[] counts = new int[(int)(highest / width) + 1];
        foreach (ReportAdapter adapter in report.Adapters)
            counts[(int)(adapter.RelSqError / width)]++;
        return new BarChart
        {
            Title = "How many adapters have which error",
            XLabel = "relative squared error of an adapter",
            YLabel = "adapters",
            Bars = [.. counts.Select((c, i) => ((double)c, Labels.PercentTick(width * i), $"{c} adapters from {Labels.PercentTick(width * i)} to {Labels.PercentTick(width * (i + 1))}"))],
            LastEdge = Labels.PercentTick(width * counts.Length),
        };
    }

    internal static BarChart ClusterSizes(CompressionReport report) => new()
    {
        Title = "Adapters in each cluster",
        XLabel = "cluster",
        YLabel = "adapters",
        Bars =
        [
            .. report.Adapters.GroupBy(a => a.Cluster).OrderBy(g => g.Key).Select(g => (
                (double)g.Count(), g.Key.ToString(CultureInfo.InvariantCulture),
                $"cluster {g.Key}: {g.Count()} adapters, mean error {Labels.Percent(g.Average(a => a.RelSqError))}")),
        ],
    };

    /// <summary>One chart per projection: the reached error between the tails of both sides, layer by layer.</summary>
    internal static IEnumerable<LineChart> Bounds(CompressionReport report) =>
        from module in report.Modules
        where module.Products > 0
        let place = ModulePath.Parse(module.Path)
        group (Layer: place.Layer ?? 0, Module: module) by place.Projection into projection
        orderby projection.Key
        select BoundsOf(projection.Key, [.. projection.OrderBy(m => m.Layer)]);

    internal static LineChart Spectrum(CompressionReport report, ErrorSurvey survey)
    {
        SurveySpectrum longest = survey.Spectra.MaxBy(s => s.Ranks.Length)!;
        return new LineChart
        {
            Title = "Energy that no basis of a rank can keep, mean of the sampled modules, one cluster",
            XLabel = "basis rank (logarithmic)",
            YLabel = "energy left out",
            XTicks = [.. longest.Ranks.Select(r => ((double)r, Labels.Number(r)))],
            Logarithmic = true,
            Series = [Side("output side (U)", 0, s => s.TailU), Side("input side (V)", 1, s => s.TailV)],
            Rules = [.. new[] { (report.Rank[0], "r_U"), (report.Rank[1], "r_V") }.Where(r => r.Item1 <= longest.Ranks[^1]).Select(r => ((double)r.Item1, r.Item2))],
        };

        Series Side(string name, int style, Func<SurveySpectrum, double[]> tails) => new(
            name, style,
            [
                .. longest.Ranks.Select((rank, i) => (Rank: rank, Tail: survey.Spectra.Average(s => tails(s).ElementAtOrDefault(i))))
                    .Select(p => ((double)p.Rank, p.Tail, $"rank {p.Rank}: {Labels.Percent(p.Tail)}")),
            ]);
    }

    private static Series[] Lines(ErrorSurvey survey, Func<SurveyPoint, double> x) =>
    [
        .. survey.Points.GroupBy(p => p.Clusters).Select((group, i) => new Series(
            group.Key == 1 ? "1 cluster" : $"{group.Key} clusters", i % LineChart.Styles,
            [.. group.Select(p => (x(p), p.RelSqError, $"rank {Labels.Rank(p.Rank)}, error {Labels.Percent(p.RelSqError)}, saves {Labels.Percent(p.ParametersSaved)}"))])),
    ];

    private static LineChart BoundsOf(string projection, (int Layer, ReportModule Module)[] layers)
    {
        List<Series> series = [Line("reached", 0, m => m.RelSqError)];
        if (layers.All(l => l.Module.LowerBound is not null))
            series.Insert(0, Line("certified lower bound", LineChart.Band, m => m.LowerBound!.Value));
        if (layers.All(l => l.Module is { TailU: not null, TailV: not null }))
        {
            series.Add(Line("tail of the output side (U)", 1, m => m.TailU!.Value));
            series.Add(Line("tail of the input side (V)", 2, m => m.TailV!.Value));
        }

        int every = Math.Max(1, (int)Math.Ceiling(layers.Length / (double)MostLayerTicks));
        return new LineChart
        {
            Width = 330,
            Height = 230,
            Title = $"Error and bounds of {projection} by layer",
            XLabel = $"{projection}, by layer",
            YLabel = "relative squared error",
            XTicks = [.. layers.Where((_, i) => i % every == 0).Select(l => ((double)l.Layer, l.Layer.ToString(CultureInfo.InvariantCulture)))],
            Series = series,
        };

        Series Line(string name, int style, Func<ReportModule, double> value) =>
            new(name, style, [.. layers.Select(l => ((double)l.Layer, value(l.Module), $"layer {l.Layer}, {Labels.Percent(value(l.Module))}"))]);
    }
}
