using System.Text.Json.Nodes;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;
using NJsonSchema;

namespace Eigengate.JointDiagonalization.Tests.Bundles;

/// <summary>docs/bundle-manifest.schema.json against what is written, and against the demo's bundle of version 1.</summary>
public sealed class ManifestSchemaTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(CompressionMethod.Full, 1, DType.I8)]
    [InlineData(CompressionMethod.Diagonal, 0, null)]
    [InlineData(CompressionMethod.Svd, 0, null)]
    [InlineData(CompressionMethod.Ties, 0, DType.BF16)]
    public async Task What_is_written_fits_the_schema(CompressionMethod method, int residual, DType? coreDType)
    {
        Compressor.Compress(
            new() { Output = _folder["out"], Method = method, RankU = 3, RankV = 3, Residual = residual, CoreDType = coreDType }, AdapterFolders.Write(_folder["in"], 3));
        string manifest = await File.ReadAllTextAsync(_folder["out", "manifest.json"], TestContext.Current.CancellationToken);
        JsonSchema schema = await Schema();
        Assert.Empty(schema.Validate(manifest));
        JsonObject written = JsonNode.Parse(manifest)!.AsObject();
        Assert.Equal(written.Select(p => p.Key).Order(), schema.Properties.Keys.Order());
    }

    [Theory]
    [InlineData("version", "3")]
    [InlineData("method", "\"jd-cubic\"")]
    [InlineData("residual", "-1")]
    [InlineData("core_dtype", "\"I4\"")]
    [InlineData("rank", "[3]")]
    [InlineData("merge", "{\"keep\": 2, \"scale\": 1}")]
    [InlineData("generation", "\"x\"")]
    [InlineData("adapters", "[{}]")]
    public async Task The_schema_refuses_what_the_reader_refuses(string field, string value)
    {
        Compressor.Compress(new() { Output = _folder["out"] }, AdapterFolders.Write(_folder["in"], 2));
        var manifest = JsonNode.Parse(await File.ReadAllTextAsync(_folder["out", "manifest.json"], TestContext.Current.CancellationToken))!.AsObject();
        manifest[field] = JsonNode.Parse(value);
        Assert.NotEmpty((await Schema()).Validate(manifest.ToJsonString()));
        await File.WriteAllTextAsync(_folder["out", "manifest.json"], manifest.ToJsonString(), TestContext.Current.CancellationToken);
        Assert.Throws<BundleFormatException>(() => Bundle.Open(_folder["out"]));
    }

    [Fact]
    public async Task A_bundle_of_version_1_is_read_and_serves_what_its_report_says()
    {
        Assert.Empty((await Schema()).Validate(await File.ReadAllTextAsync(Repository([.. OldBundle, "manifest.json"]), TestContext.Current.CancellationToken)));
        using Bundle bundle = Bundle.Open(Repository(OldBundle));
        Assert.Equal((1, 0, bundle.Manifest.Dtype), (bundle.Manifest.Version, bundle.Manifest.Residual, bundle.Manifest.CoreDtype));
        BundleAdapter adapter = bundle.Manifest.Adapters[1];
        PeftAdapter source = PeftAdapter.Open(Repository("demo", "adapters", adapter.Id));
        Assert.Empty(bundle.ReadResiduals(adapter.Id));
        JsonNode report = JsonNode.Parse(await File.ReadAllTextAsync(Repository([.. OldBundle, "report.json"]), TestContext.Current.CancellationToken))!;
        JsonNode errors = report["adapters"]!.AsArray().Single(a => (string)a!["id"]! == adapter.Id)!["modules"]!;
        foreach (string module in adapter.Modules)
            Assert.Equal((double)errors[module]!, ServedError.Of(bundle, source, module), 1e-3);
    }

    /// <summary>Written when 1 was the current version, then cut to two adapters and one layer.</summary>
    private static string[] OldBundle => ["tests", "JointDiagonalization.Tests", "Bundles", "version-1"];

    private static Task<JsonSchema> Schema() => JsonSchema.FromFileAsync(Repository("docs", "bundle-manifest.schema.json"), TestContext.Current.CancellationToken);

    private static string Repository(params string[] parts)
    {
        DirectoryInfo at = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(at.FullName, "Gateway.sln")))
            at = at.Parent!;
        return Path.Combine([at.FullName, .. parts]);
    }
}
