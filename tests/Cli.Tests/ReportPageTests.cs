using System.Globalization;
using Eigengate.Cli.Tests.Support;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Reports;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.Cli.Tests;

/// <summary>report.html in a real browser, opened from the disk.</summary>
public sealed class ReportPageTests(SmallBundle small)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_shows_the_numbers_of_the_report_and_asks_nothing_of_the_network()
    {
        await using Chromium browser = await OpenAsync();
        CompressionReport report = CompressionReport.Read(small.Bundle);
        foreach (var (field, expected) in new Dictionary<string, double>
                 {
                     ["parameters_saved"] = report.ParametersSaved,
                     ["bytes_out"] = report.BytesOut,
                     ["mean_rel_sq_error"] = report.MeanRelSqError,
                     ["norm_weighted_rel_sq_error"] = report.NormWeightedRelSqError,
                     ["certified_gap"] = report.CertifiedGap!.Value,
                     ["seconds"] = report.Seconds,
                 })
        {
            Assert.Equal(expected, double.Parse(await browser.EvaluateAsync<string>($"document.getElementById('{field}').value", Cancel), CultureInfo.InvariantCulture));
        }

        string shown = await browser.EvaluateAsync<string>("document.getElementById('mean_rel_sq_error').textContent", Cancel);
        Assert.Matches(@"^[\d.]+ %$", shown);
        Assert.Equal(100 * report.MeanRelSqError, double.Parse(shown[..^2], CultureInfo.InvariantCulture), report.MeanRelSqError);
        string[] requests = [.. browser.Requests.Where(r => !r.StartsWith("data:", StringComparison.Ordinal))];
        Assert.Equal([new Uri(Path.Combine(small.Bundle, HtmlReport.FileName)).AbsoluteUri], requests);
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task Every_figure_is_drawn_and_named()
    {
        await using Chromium browser = await OpenAsync();
        CompressionReport report = CompressionReport.Read(small.Bundle);
        string[] titles = await browser.EvaluateAsync<string[]>("[...document.querySelectorAll('figure svg[role=img]')].map(s => s.getAttribute('aria-label'))", Cancel);
        string[] expected = ["over basis rank", "over size", "by layer and projection", "have which error", "in each cluster", "bounds of q_proj", "bounds of down_proj", "Energy"];
        Assert.All(expected, part => Assert.Contains(titles, title => title.Contains(part, StringComparison.Ordinal)));
        Assert.True(await browser.EvaluateAsync<bool>("[...document.querySelectorAll('figure svg[role=img]')].every(s => s.getBoundingClientRect().width > 100 && s.querySelector('title'))", Cancel));
        Assert.Equal(report.Survey!.Points.Length, await browser.EvaluateAsync<int>("document.querySelectorAll('#survey figure:first-of-type .dot').length", Cancel));
        Assert.Equal(AdapterFolders.Modules.Length, await browser.EvaluateAsync<int>("document.querySelectorAll('#modules rect > title').length", Cancel));
    }

    [Fact]
    public async Task A_heading_of_the_table_sorts()
    {
        await using Chromium browser = await OpenAsync();
        const string Ids = "[...document.querySelectorAll('#adapters tbody th')].map(t => t.textContent)";
        ReportAdapter[] adapters = CompressionReport.Read(small.Bundle).Adapters;
        Assert.Equal(adapters.OrderByDescending(a => a.RelSqError).Select(a => a.Id), await browser.EvaluateAsync<string[]>(Ids, Cancel));
        await browser.EvaluateAsync<object?>("document.querySelectorAll('#adapters thead button')[2].click()", Cancel);
        Assert.Equal(adapters.OrderBy(a => a.RelSqError).Select(a => a.Id), await browser.EvaluateAsync<string[]>(Ids, Cancel));
        await browser.EvaluateAsync<object?>("document.querySelectorAll('#adapters thead button')[0].click()", Cancel);
        Assert.Equal(adapters.Select(a => a.Id).OrderDescending(StringComparer.Ordinal), await browser.EvaluateAsync<string[]>(Ids, Cancel));
    }

    [Theory]
    [InlineData(1200, "light")]
    [InlineData(1200, "dark")]
    [InlineData(380, "light")]
    [InlineData(380, "dark")]
    public async Task It_fits_every_width_and_is_readable_in_both_schemes(int width, string scheme)
    {
        await using Chromium browser = await OpenAsync();
        await browser.EmulateAsync(width, scheme, Cancel);
        Assert.True(await browser.EvaluateAsync<int>("document.documentElement.scrollWidth", Cancel) <= width);
        // WCAG 2 contrast of the text of a chart against its card.
        double contrast = await browser.EvaluateAsync<double>("""
            (() => {
              const light = color => { const [r, g, b] = color.match(/[\d.]+/g).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
              const card = light(getComputedStyle(document.querySelector('#survey')).backgroundColor);
              const inks = ['.ticks text', '.axis', '.line.s0', '.line.s1', '.line.s2'].map(s => getComputedStyle(document.querySelector('#survey figure ' + s))).map(s => light(s.stroke === 'none' ? s.fill : s.stroke));
              return Math.min(...inks.map(ink => (Math.max(ink, card) + .05) / (Math.min(ink, card) + .05)));
            })()
            """, Cancel);
        Assert.True(contrast >= 4.5, $"contrast {contrast}");
        // Text is drawn at 7 CSS pixels or more.
        Assert.True(await browser.EvaluateAsync<bool>("[...document.querySelectorAll('#survey figure .ticks text')].every(t => t.getBoundingClientRect().height >= 9)", Cancel));
    }

    private async Task<Chromium> OpenAsync()
    {
        Assert.SkipWhen(Chromium.Executable is null, "chromium is not installed: see eng/test-machine.sh");
        Chromium browser = await Chromium.StartAsync(Cancel);
        await browser.OpenAsync(Path.Combine(small.Bundle, HtmlReport.FileName), Cancel);
        return browser;
    }
}
