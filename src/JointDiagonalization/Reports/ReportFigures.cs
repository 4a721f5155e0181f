using System.Globalization;
using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>The pictures of a report, each made of its data alone.</summary>
internal static class ReportFigures
{
    private const int HistogramBins = 20;
    private const int MostLayerTicks = 12;

    internal static LineChart ErrorOverRank(CompressionReport report, ErrorSurvey survey) => new()
    {
        Title = "Mean relative squared error over basis rank, one line per number of clusters",
        XLabel = "basis rank (columns of U×V, logarithmic)",
        YLabel = "relative squared error",
        XTicks = [.. survey.Points.DistinctBy(p => p.Rank[0]).Select(p => ((double)p.Rank[0], Labels.Rank(p.Rank)))],
        Logarithmic = true,
        Series = Lines(survey, p => p.Rank[0]),
        Mark = (report.Rank[0], report.MeanRelSqError, $"this bundle, all modules: {Labels.Percent(report.MeanRelSqError)}"),
    };

    internal static LineChart ErrorOverSaving(CompressionReport report, ErrorSurvey survey) => new()
    {
        Title = "Mean relative squared error over saved parameters, one line per number of clusters",
        XLabel = "parameters saved, bases included",
        YLabel = "relative squared error",
        Series = Lines(survey, p => p.ParametersSaved),
        Mark = (report.ParametersSaved, report.MeanRelSqError, $"this bundle, all modules: {Labels.Percent(report.MeanRelSqError)}, saves {Labels.Percent(report.ParametersSaved)}"),
    };

    internal static HeatMap ErrorByModule(CompressionReport report) => new(
    [
        .. report.Modules.Where(m => m.Products > 0).Select(m => (Place: ModulePath.Parse(m.Path), Module: m))
            .OrderBy(m => m.Place.Layer ?? int.MaxValue)
            .Select(m => new ReportCell(m.Place.Projection, m.Place.Layer?.ToString(CultureInfo.InvariantCulture) ?? "–", m.Module.RelSqError, m.Module.Path)),
    ]);

    internal static BarChart Histogram(CompressionReport report)
    {
        double width = Math.Max(report.Adapters.Max(a => a.RelSqError), 1e-12) / HistogramBins;
        int[] counts = new int[HistogramBins];
        foreach (ReportAdapter adapter in report.Adapters)
            counts[Math.Min(HistogramBins - 1, (int)(adapter.RelSqError / width))]++;
        return new BarChart
        {
            Title = "How many adapters have which error",
            XLabel = "relative squared error of an adapter",
            YLabel = "adapters",
            Bars = [.. counts.Select((c, i) => ((double)c, Labels.Percent(width * i), $"{c} adapters from {Labels.Percent(width * i)} to {Labels.Percent(width * (i + 1))}"))],
            LastEdge = Labels.Percent(width * HistogramBins),
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
        {
            series.Add(Line("least possible (certified bound)", 1, m => m.LowerBound!.Value));
            series.Add(Line("output side alone (tail of U)", 2, m => m.TailU!.Value));
            series.Add(Line("input side alone (tail of V)", 3, m => m.TailV!.Value));
        }

        int every = Math.Max(1, (int)Math.Ceiling(layers.Length / (double)MostLayerTicks));
        return new LineChart
        {
            Title = $"Error and bounds of {projection} by layer",
            XLabel = $"layer of {projection}",
            YLabel = "relative squared error",
            XTicks = [.. layers.Where((_, i) => i % every == 0).Select(l => ((double)l.Layer, l.Layer.ToString(CultureInfo.InvariantCulture)))],
            Series = series,
        };

        Series Line(string name, int style, Func<ReportModule, double> value) =>
            new(name, style, [.. layers.Select(l => ((double)l.Layer, value(l.Module), $"layer {l.Layer}, {Labels.Percent(value(l.Module))}"))]);
    }
}
