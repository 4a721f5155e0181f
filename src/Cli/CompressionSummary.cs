using System.Globalization;
using System.Text.Json;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Choosing;
using Eigengate.JointDiagonalization.Reports;
using Spectre.Console;

namespace Eigengate.Cli;

/// <summary>What a compression did, on standard output: a table, or one JSON object.</summary>
internal static class CompressionSummary
{
    private const int WorstShown = 3;

    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    /// <param name="result">What was written.</param>
    /// <param name="output">Where.</param>
    /// <param name="json">Whether for machines.</param>
    /// <param name="goal">What was to be reached, when settings were chosen.</param>
    public static void Write(CompressionResult result, string output, bool json, GoalResult? goal = null)
    {
        if (json)
            Console.Out.WriteLine(ToJson(result, output, goal));
        else
            WriteTable(result, output);
    }

    private static string ToJson(CompressionResult result, string output, GoalResult? goal)
    {
        CompressionReport report = result.Report;
        return JsonSerializer.Serialize(
            new
            {
                Bundle = output,
                result.Manifest.Generation,
                report.Method,
                report.Rank,
                report.Residual,
                report.Clusters,
                Adapters = report.Adapters.Length,
                LeftOut = result.Skipped,
                result.Notes,
                Goal = goal is null ? null : new { goal.Met, Choices = goal.Choices.Select(c => new { c.Chosen, c.Reasons }) },
                report.MeanRelSqError,
                report.NormWeightedRelSqError,
                report.CertifiedGap,
                report.ParametersSaved,
                report.BytesIn,
                report.BytesOut,
                report.Seconds,
                report.PeakRssBytes,
            },
            Format);
    }

    private static void WriteTable(CompressionResult result, string output)
    {
        foreach (SkippedAdapter skipped in result.Skipped)
            Console.Error.WriteLine($"left out: {skipped.Id}: {skipped.Reason}");

        foreach (string note in result.Notes)
            Console.Error.WriteLine($"note: {note}");

        CompressionReport report = result.Report;
        var table = new Table { Border = TableBorder.Simple, ShowHeaders = false };
        table.AddColumns("", "");
        Row("adapters", $"{report.Adapters.Length} in {report.Clusters} clusters, {report.Method}, rank {RankOption.Format(report.Rank[0], report.Rank[1])}{(report.Residual > 0 ? $", private {report.Residual}" : "")}");
        Row("mean relative squared error", Percent(report.MeanRelSqError, "P2"));
        if (report.CertifiedGap is { } gap)
            Row("above the least possible", $"{Percent(gap, "P2")} at most, with these clusters and ranks");
        Row("parameters saved", Percent(report.ParametersSaved, "P1"));
        Row("bytes", $"{Megabytes(report.BytesIn)} in, {Megabytes(report.BytesOut)} out");
        Row("time", string.Create(CultureInfo.InvariantCulture, $"{report.Seconds:F1} s, {Megabytes(report.PeakRssBytes)} of memory at most"));
        Row("worst adapters", string.Join(", ", report.Adapters.OrderByDescending(a => a.RelSqError).Take(WorstShown).Select(a => $"{a.Id} {Percent(a.RelSqError, "P1")}")));
        Row("bundle", output);
        Row("pictures", Path.Combine(output, HtmlReport.FileName));
        AnsiConsole.Write(table);

        void Row(string name, string value) => table.AddRow(Markup.Escape(name), Markup.Escape(value));
    }

    private static string Percent(double share, string format) => share.ToString(format, CultureInfo.InvariantCulture);

    private static string Megabytes(long bytes) => (bytes / 1e6).ToString("F1", CultureInfo.InvariantCulture) + " MB";
}
