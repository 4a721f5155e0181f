using System.Text;
using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>
/// report.html: what a compression saved and what was lost where, in one file without outside references. It is a function
/// of report.json alone (docs/bundle-format.md, "Report").
/// </summary>
public static class HtmlReport
{
    public const string FileName = "report.html";

    /// <param name="report">The data.</param>
    /// <param name="file">File to write or replace.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(CompressionReport report, string file) => File.WriteAllText(file, Render(report), new UTF8Encoding(false));

    /// <summary>The page as text.</summary>
    public static string Render(CompressionReport report) => Html.Of($"""
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
        <link rel="icon" href="data:,">
        <title>Compression report{(report.BaseModel is { } model ? $" – {model}" : "")}</title>
        <style>{Resource("report.css")}</style>
        </head>
        <body>
        <main>
        {ReportSections.Header(report)}
        {ReportSections.Survey(report)}
        {ReportSections.Modules(report)}
        {ReportSections.Adapters(report)}
        {ReportSections.Bounds(report)}
        {ReportSections.Settings(report)}
        </main>
        <script>{Resource("report.js")}</script>
        </body>
        </html>

        """).Text.ReplaceLineEndings("\n");

    private static Html Resource(string name)
    {
        using Stream stream = typeof(HtmlReport).Assembly.GetManifestResourceStream($"{typeof(HtmlReport).Namespace}.{name}")!;
        using var reader = new StreamReader(stream);
        return Html.Raw(reader.ReadToEnd());
    }
}
