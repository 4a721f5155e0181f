using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Reports;
using Eigengate.JointDiagonalization.Tests.Support;
using NJsonSchema;

namespace Eigengate.JointDiagonalization.Tests.Reports;

public sealed class HtmlReportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Text_in_a_hole_never_becomes_markup()
    {
        Html inner = Html.Of($"<b>{"<i>&\"'"}</b>");
        Assert.Equal("<p><b>&lt;i&gt;&amp;&quot;&#39;</b>1.5</p>", Html.Of($"<p>{inner}{1.5}</p>").Text);
    }

    [Fact]
    public void An_adapter_with_a_hostile_name_is_shown_as_text()
    {
        const string Hostile = "<img src=x onerror=alert(1)>&\"'";
        CompressionReport report = Compress(4);
        report = report with
        {
            BaseModel = Hostile,
            Adapters = [report.Adapters[0] with { Id = Hostile }, .. report.Adapters[1..]],
            LeftOut = [new SkippedAdapter(Hostile, Hostile)],
            Modules = [report.Modules[0] with { Path = Hostile }, .. report.Modules[1..]],
        };
        string page = HtmlReport.Render(report);
        Assert.DoesNotContain("<img", page, StringComparison.Ordinal);
        Assert.Contains("&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;", page, StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_is_a_function_of_the_report_file_alone()
    {
        Compress(4);
        Assert.Equal(File.ReadAllText(_folder["out", HtmlReport.FileName]), HtmlReport.Render(CompressionReport.Read(_folder["out"])));
    }

    [Fact]
    public void It_fits_in_a_mail_and_asks_nothing_of_the_network()
    {
        string page = HtmlReport.Render(Many(10_000));
        Assert.InRange(page.Length, 10_000, 400_000);
        Assert.DoesNotContain("http:", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("https:", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotMatch(@"\bNaN\b|\bInfinity\b", page);
        Assert.Contains("report.json has all 10,000", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Adapters_without_any_product_still_make_a_page()
    {
        PeftFiles.Write(_folder["in", "a"], [KeyValuePair.Create("m.first", new LoraDelta(new float[8], new float[6], 4, 3, 2, 1))]);
        CompressionReport report = Compressor.Compress(new CompressorOptions { Output = _folder["out"] }, PeftAdapter.FindFolders(_folder["in"])).Report;
        Assert.Null(report.Survey);
        Assert.DoesNotMatch(@"\bNaN\b|\bInfinity\b", HtmlReport.Render(report));
    }

    [Fact]
    public async Task The_report_matches_its_schema_and_the_schema_names_every_field()
    {
        Compress(5);
        JsonSchema schema = await JsonSchema.FromFileAsync(Path.Combine(LibraryTests.Root, "docs", "bundle-report.schema.json"), TestContext.Current.CancellationToken);
        string json = File.ReadAllText(_folder["out", CompressionReport.FileName]);
        Assert.Empty(schema.Validate(json));
        Assert.NotEmpty(schema.Validate(json.Replace("\"clusters\": 2", "\"clusters\": \"two\"", StringComparison.Ordinal)));
        Assert.NotEmpty(schema.Validate(json.Replace("\"seconds\"", "\"hours\"", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_report_from_before_the_later_fields_is_still_drawn()
    {
        CompressionReport old = CompressionReport.Read(Path.Combine(LibraryTests.Root, "demo", "bundle"));
        Assert.Equal(0, old.Residual);
        Assert.Contains($"value=\"{old.MeanRelSqError:R}\"", HtmlReport.Render(old), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_a_report_is_named() => Assert.Contains(
        Path.Combine(_folder.Path, CompressionReport.FileName),
        Assert.Throws<BundleFormatException>(() => CompressionReport.Read(_folder.Path)).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData(0, 0.137, new[] { 0, 0.05, 0.1, 0.15 })]
    [InlineData(0, 8, new[] { 0.0, 2, 4, 6, 8 })]
    [InlineData(0, 0, new[] { 0, 0.2, 0.4, 0.6, 0.8, 1 })]
    public void Ticks_are_round_and_cover_the_values(double low, double high, double[] expected) =>
        Assert.Equal(expected, Scale.Linear(low, high, 0, 100).Ticks);

    [Theory]
    [InlineData(0, "0 %")]
    [InlineData(1, "100 %")]
    [InlineData(0.08324, "8.32 %")]
    [InlineData(0.798, "79.8 %")]
    [InlineData(0.0000001, "1.0e-5 %")]
    public void Shares_are_written_with_three_digits(double share, string expected) => Assert.Equal(expected, Labels.Percent(share));

    private CompressionReport Compress(int count) => Compressor.Compress(
        new CompressorOptions { Output = _folder["out"], RankU = 4, RankV = 2, Clusters = 2 }, AdapterFolders.Write(_folder["in"], count, noise: 0.2)).Report;

    /// <summary>A report of the size that a large operator gets.</summary>
    private CompressionReport Many(int adapters)
    {
        var random = new Random(1);
        string[] modules = [.. from layer in Enumerable.Range(0, 32) from p in new[] { "q", "k", "v" } select $"model.layers.{layer}.self_attn.{p}_proj"];
        return Compress(5) with
        {
            Adapters =
            [
                .. Enumerable.Range(0, adapters).Select(i => new ReportAdapter(
                    $"adapter-{i}", i % 25, random.NextDouble(), new SortedDictionary<string, double>(modules.Take(3).ToDictionary(m => m, _ => random.NextDouble())))),
            ],
            Modules = [.. modules.Select(m => new ReportModule(m, 4096, 4096, adapters, random.NextDouble(), 0.1, 0.2, 0.2))],
        };
    }
}
