using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>The page's sections, in the order of reading. A section without data is left out.</summary>
internal static class ReportSections
{
    private const int WorstShown = 100;

    internal static Html Header(CompressionReport report) => Html.Of($"""
        <header>
        <h1>Compression report</h1>
        <p>{Labels.Number(report.Adapters.Length)} LoRA adapters{(report.BaseModel is { } model ? Html.Of($" of <b>{model}</b>") : Html.Empty)}, written as
        <i>U Σ V</i>ᵀ with shared <i>U</i>, <i>V</i> in {(report.Clusters == 1 ? "one cluster" : $"{Labels.Number(report.Clusters)} clusters")} of basis rank {Labels.Rank(report.Rank)} ({report.Method}{(report.Residual > 0 ? $", private residuals of rank {report.Residual}" : "")}{(report.Dtype is { } dtype ? $", {dtype}" : "")}).</p>
        </header>
        <ul class="tiles">
        {Tile("parameters_saved", report.ParametersSaved, Labels.Percent(report.ParametersSaved), "of all adapter parameters saved", "shared bases included")}
        {Tile("bytes_out", report.BytesOut, Labels.Bytes(report.BytesOut), $"instead of {Labels.Bytes(report.BytesIn)}", "of weight files")}
        {Tile("mean_rel_sq_error", report.MeanRelSqError, Labels.Percent(report.MeanRelSqError), "mean relative squared error", "0 is lossless, 100 % is nothing kept")}
        {Tile("norm_weighted_rel_sq_error", report.NormWeightedRelSqError, Labels.Percent(report.NormWeightedRelSqError), "weighted by size", "of each change of a weight")}
        {(report.CertifiedGap is { } gap ? Tile("certified_gap", gap, Labels.Percent(gap), "certified gap", "at most so far above the least possible error") : Html.Empty)}
        {Tile("seconds", report.Seconds, Labels.Duration(report.Seconds), "of work", $"{Labels.Bytes(report.PeakRssBytes)} of memory at most")}
        </ul>
        {LeftOut(report)}
        """);

    internal static Html Survey(CompressionReport report)
    {
        if (report.Survey is not { } survey)
            return Html.Empty;
        LineChart overRank = ReportFigures.ErrorOverRank(report, survey);
        string fewer = survey.Adapters < report.Adapters.Length ? " Clusters of fewer adapters are easier to fit, so the lines lie lower than for all." : "";
        string sample = $"{survey.Modules.Length} of {report.Modules.Length} modules"
            + (survey.Adapters < report.Adapters.Length ? $" and {Labels.Number(survey.Adapters)} of {Labels.Number(report.Adapters.Length)} adapters" : "");
        return Html.Of($"""
            <section id="survey"><h2>Error against rank and clusters</h2>
            <p>What other settings would reach, from fits of free cores (jd-full) on a sample: {sample}
            (<span class="paths">{string.Join(", ", survey.Modules)}</span>). The first picture compares settings at equal rank, the second at equal size, shared bases included.{fewer}</p>
            <div class="pair"><figure>{overRank.Draw()}</figure><figure>{ReportFigures.ErrorOverSize(report, survey).Draw()}</figure></div>
            {overRank.Key("this bundle, all modules")}</section>
            """);
    }

    internal static Html Modules(CompressionReport report) => !report.Modules.Any(m => m.Products > 0) ? Html.Empty : Html.Of($"""
        <section id="modules"><h2>Where the error is</h2>
        <p>Mean relative squared error of each module, in percent where there is room.</p>
        <figure class="wide">{ReportFigures.ErrorByModule(report).Draw()}</figure></section>
        """);

    internal static Html Adapters(CompressionReport report)
    {
        ReportAdapter[] worst = [.. report.Adapters.OrderByDescending(a => a.RelSqError).ThenBy(a => a.Id, StringComparer.Ordinal).Take(WorstShown)];
        string shown = worst.Length < report.Adapters.Length ? $"The {worst.Length} adapters with the largest errors; report.json has all {Labels.Number(report.Adapters.Length)}." : "All adapters, largest error first.";
        return Html.Of($"""
            <section id="adapters"><h2>Adapters</h2>
            <div class="pair"><figure>{ReportFigures.Histogram(report).Draw()}<figcaption>Errors of the adapters</figcaption></figure>
            <figure>{ReportFigures.ClusterSizes(report).Draw()}<figcaption>Sizes of the clusters</figcaption></figure></div>
            <p>{shown} A heading sorts.</p>
            <div class="scroll"><table class="sortable">
            <thead><tr><th scope="col">adapter</th><th scope="col">cluster</th><th scope="col" aria-sort="descending">error</th><th scope="col">worst module</th><th scope="col">its error</th></tr></thead>
            <tbody>{worst.Select(AdapterRow)}</tbody></table></div></section>
            """);
    }

    internal static Html Bounds(CompressionReport report)
    {
        LineChart[] bounds = [.. ReportFigures.Bounds(report)];
        bool certified = bounds.Any(b => b.Series.Count > 1);
        Html spectrum = Html.Empty;
        if (report.Survey is { Spectra.Length: > 0 } survey)
        {
            LineChart chart = ReportFigures.Spectrum(report, survey);
            spectrum = Html.Of($"""
                <h3>How fast the energy falls</h3>
                <p>Share of all products' energy outside the best basis of each rank, on the sampled modules in one cluster.
                The side that falls faster needs the smaller rank: --rank takes one for U and one for V.</p>
                <figure class="narrow">{chart.Draw()}{chart.Key()}</figure>
                """);
        }

        if (!certified && spectrum == Html.Empty)
            return Html.Empty;
        return Html.Of($"""
            <section id="bounds"><h2>What could not have been kept</h2>
            {(certified ? Html.Of($"""
                <p>With these clusters and ranks, no U keeps more than its side's spectrum allows, and no V: the larger tail is a certified lower
                bound. What lies between it and the reached error is the most that a better fit could gain.</p>
                <div class="panels">{bounds.Select(b => Html.Of($"<figure>{b.Draw()}</figure>"))}</div>
                {bounds.MaxBy(b => b.Series.Count)!.Key()}
                """) : Html.Empty)}
            {spectrum}</section>
            """);
    }

    internal static Html Settings(CompressionReport report) => Html.Of($"""
        <footer><p>{report.Method}, rank {Labels.Rank(report.Rank)}, {Labels.Number(report.Clusters)} clusters, at most {Labels.Number(report.Iterations)} iterations, seed {report.Seed}.
        Errors are ‖M − UΣVᵀ‖² / ‖M‖² (squared Frobenius norms) of each adapter's change M of a module; means are over non-zero changes.
        The same numbers for programs are in report.json.</p></footer>
        """);

    private static Html Tile(string field, double value, string shown, string name, string detail) => Html.Of($"""
        <li><data class="number" id="{field}" value="{value:R}">{shown}</data><span>{name}</span><small>{detail}</small></li>
        """);

    private static Html LeftOut(CompressionReport report) => report.LeftOut.Length == 0 ? Html.Empty : Html.Of($"""
        <section id="left-out" class="warning"><h2>Left out: {Labels.Number(report.LeftOut.Length)} adapters</h2>
        <ul>{report.LeftOut.Take(WorstShown).Select(a => Html.Of($"<li><b>{a.Id}</b> {a.Reason}</li>"))}</ul></section>
        """);

    private static Html AdapterRow(ReportAdapter adapter)
    {
        var worst = adapter.Modules.Count == 0 ? default : adapter.Modules.MaxBy(m => m.Value);
        return Html.Of($"""
            <tr><th scope="row">{adapter.Id}</th><td data-value="{adapter.Cluster}">{adapter.Cluster}</td><td data-value="{adapter.RelSqError:R}">{Labels.Percent(adapter.RelSqError)}</td><td class="paths">{worst.Key}</td><td data-value="{worst.Value:R}">{(worst.Key is null ? "" : Labels.Percent(worst.Value))}</td></tr>

            """);
    }
}
