using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Bundles;

public sealed class BundleTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CompressionResult _result;

    public BundleTests() => _result = Compressor.Compress(
        new CompressorOptions { Output = Output, RankU = 5, RankV = 3, Clusters = 2 }, AdapterFolders.Write(_folder["in"], 6));

    private string Output => _folder["out"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_manifest_reads_back_as_written()
    {
        using Bundle bundle = Bundle.Open(Output);
        Assert.Equal(_result.Manifest.ToJson(), bundle.Manifest.ToJson());
        Assert.Equal(AdapterFolders.Modules.Select(m => new BundleModule(m.Path, m.DOut, m.DIn)).OrderBy(m => m.Path, StringComparer.Ordinal), bundle.Manifest.Modules);
    }

    [Fact]
    public void The_generation_is_the_digest_of_the_manifest_without_it()
    {
        string text = File.ReadAllText(Path.Combine(Output, "manifest.json")).Replace(_result.Manifest.Generation, "", StringComparison.Ordinal);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text))), _result.Manifest.Generation);
    }

    [Fact]
    public void Manifest_and_report_have_exactly_the_documented_fields()
    {
        var manifest = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Output, "manifest.json")))!.AsObject();
        Assert.Equal(
            ["format", "version", "generation", "base_model", "method", "rank", "residual", "clusters", "seed", "iterations", "dtype", "core_dtype", "merge", "modules", "bases", "cores", "adapters"],
            manifest.Select(p => p.Key));
        Assert.Equal(["path", "d_out", "d_in"], manifest["modules"]![0]!.AsObject().Select(p => p.Key));
        Assert.Equal(["cluster", "file", "sha256", "ranks"], manifest["bases"]![0]!.AsObject().Select(p => p.Key));
        Assert.Equal(
            ["id", "cluster", "digest", "rank", "norm", "rel_sq_error", "cores_file", "modules"],
            manifest["adapters"]![0]!.AsObject().Select(p => p.Key));
        var report = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Output, "report.json")))!.AsObject();
        Assert.Equal(
            [
                "method", "rank", "residual", "clusters", "iterations", "seed", "seconds", "peak_rss_bytes", "adapters", "mean_rel_sq_error",
                "norm_weighted_rel_sq_error", "certified_gap", "bytes_in", "bytes_out", "parameters_saved",
                "base_model", "dtype", "left_out", "modules", "survey",
            ],
            report.Select(p => p.Key));
        Assert.Equal(["id", "cluster", "rel_sq_error", "modules"], report["adapters"]![0]!.AsObject().Select(p => p.Key));
    }

    [Fact]
    public void Bases_have_the_shapes_of_the_modules()
    {
        using Bundle bundle = Bundle.Open(Output);
        for (int c = 0; c < 2; c++)
        {
            var basis = bundle.ReadBasis(c);
            Assert.Equal(bundle.Manifest.Modules.Select(m => m.Path), basis.Keys);
            foreach (BundleModule module in bundle.Manifest.Modules)
            {
                Assert.Equal((module.DOut, module.DIn), (basis[module.Path].OutFeatures, basis[module.Path].InFeatures));
                Assert.Equal((Math.Min(5, module.DOut), 3), (basis[module.Path].RankU, basis[module.Path].RankV));
                basis[module.Path].Dispose();
            }
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => bundle.ReadBasis(2));
    }

    [Fact]
    public void A_core_blob_carries_the_same_cores_and_says_where_they_belong()
    {
        using Bundle bundle = Bundle.Open(Output);
        foreach (BundleAdapter adapter in bundle.Manifest.Adapters)
        {
            var basis = bundle.ReadBasis(adapter.Cluster);
            CoreBlob blob = CoreBlob.Parse(bundle.CoreBlob(adapter.Id), basis);
            Assert.Equal(
                (adapter.Id, adapter.Cluster, bundle.Manifest.Generation, adapter.Digest), (blob.Adapter, blob.Cluster, blob.Generation, blob.Digest));
            var cores = bundle.ReadCores(adapter.Id);
            Assert.Equal(cores.Keys, blob.Cores.Keys);
            Assert.All(cores, c => Assert.Equal(c.Value.Values, blob.Cores[c.Key].Values));
            foreach (SharedBasis shared in basis.Values)
                shared.Dispose();
        }
    }

    [Fact]
    public void A_core_blob_cut_at_any_length_is_refused()
    {
        using Bundle bundle = Bundle.Open(Output);
        byte[] blob = bundle.CoreBlob("adapter-000");
        for (int length = 0; length < blob.Length; length++)
            Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(blob.AsMemory(0, length)));
    }

    [Theory]
    [InlineData("adapter")]
    [InlineData("cluster")]
    [InlineData("generation")]
    [InlineData("digest")]
    public void A_core_blob_without_its_metadata_is_refused(string missing)
    {
        var writer = new SafetensorsWriter().Add("m", [1, 2], [1, 2]);
        foreach (string key in new[] { "adapter", "cluster", "generation", "digest" }.Where(k => k != missing))
            writer.Metadata(key, "1");
        var error = Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(writer.ToArray()));
        Assert.Contains($"'{missing}'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("m", 1, 3, "[1, 2]; the basis needs [1, 3]")]
    [InlineData("other", 1, 2, "no basis")]
    public void A_core_that_does_not_fit_the_basis_is_refused(string module, int rankU, int rankV, string expected)
    {
        byte[] blob = Blob([1, 2], [1, 2]);
        using SharedBasis shared = SharedBasis.FromArrays(new float[rankU * 4], 4, rankU, new float[rankV * 4], 4, rankV);
        var basis = new Dictionary<string, SharedBasis> { [module] = shared };
        Assert.Contains(expected, Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(blob, basis)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_core_blob_with_impossible_contents_is_refused()
    {
        Assert.Contains("NaN", Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(Blob([1, float.NaN], [1, 2]))).Message, StringComparison.Ordinal);
        Assert.Contains("dimensions", Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(Blob([1, 2], [1, 1, 2]))).Message, StringComparison.Ordinal);
        Assert.Contains("'x'", Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(Blob([1], [1, 1], cluster: "x"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_flipped_bit_in_any_data_file_is_detected()
    {
        foreach (string file in Directory.EnumerateFiles(Output, "*.safetensors"))
        {
            byte[] bytes = File.ReadAllBytes(file);
            byte[] altered = [.. bytes];
            altered[^3] ^= 4;
            File.WriteAllBytes(file, altered);
            var error = Assert.Throws<BundleFormatException>(() => Bundle.Open(Output));
            Assert.Contains(Path.GetFileName(file), error.Message, StringComparison.Ordinal);
            Assert.Contains("SHA-256", error.Message, StringComparison.Ordinal);
            File.WriteAllBytes(file, bytes);
        }

        using Bundle bundle = Bundle.Open(Output);
    }

    [Fact]
    public void A_truncated_file_is_named_even_without_verification()
    {
        foreach (string file in Directory.EnumerateFiles(Output, "*.safetensors"))
        {
            byte[] bytes = File.ReadAllBytes(file);
            File.WriteAllBytes(file, bytes[..(bytes.Length / 2)]);
            using Bundle bundle = Bundle.Open(Output, verify: false);
            var error = Assert.Throws<BundleFormatException>(() =>
            {
                for (int c = 0; c < 2; c++)
                {
                    foreach (SharedBasis basis in bundle.ReadBasis(c).Values)
                        basis.Dispose();
                }

                bundle.CoreBlob("adapter-000");
            });
            Assert.Contains(Path.GetFileName(file), error.Message, StringComparison.Ordinal);
            File.WriteAllBytes(file, bytes);
        }
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        foreach (string file in Directory.EnumerateFiles(Output).Where(f => !Path.GetFileName(f).StartsWith("report.", StringComparison.Ordinal)))
        {
            File.Move(file, file + ".away");
            var error = Assert.Throws<BundleFormatException>(() => Bundle.Open(Output));
            Assert.Contains(Path.GetFileName(file), error.Message, StringComparison.Ordinal);
            Assert.Contains("missing", error.Message, StringComparison.Ordinal);
            File.Move(file + ".away", file);
        }
    }

    [Theory]
    [InlineData("not json", "not a bundle manifest")]
    [InlineData("null", "null")]
    [InlineData("{}", "not a bundle manifest")]
    public void A_manifest_that_is_none_is_refused(string text, string expected)
    {
        File.WriteAllText(Path.Combine(Output, "manifest.json"), text);
        Assert.Contains(expected, Assert.Throws<BundleFormatException>(() => Bundle.Open(Output)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_altered_manifest_no_longer_has_its_generation()
    {
        string path = Path.Combine(Output, "manifest.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"seed\": 0", "\"seed\": 1", StringComparison.Ordinal));
        Assert.Contains("altered", Assert.Throws<BundleFormatException>(() => Bundle.Open(Output)).Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Inconsistencies => new()
    {
        { "format", "format is" },
        { "version", "version is 3" },
        { "method", "method is 'jd-cubic'" },
        { "cluster", "is in cluster 7" },
        { "twice", "listed twice" },
        { "path", "plain file name" },
        { "cores", "not listed" },
        { "ranks", "not in the list of modules" },
        { "bases", "were expected" },
    };

    [Theory]
    [MemberData(nameof(Inconsistencies))]
    public void A_consistent_digest_does_not_excuse_an_inconsistent_manifest(string what, string expected)
    {
        BundleManifest m = _result.Manifest;
        BundleManifest altered = what switch
        {
            "format" => m with { Format = "other" },
            "version" => m with { Version = 3 },
            "method" => m with { Method = "jd-cubic" },
            "cluster" => m with { Adapters = [m.Adapters[0] with { Cluster = 7 }, .. m.Adapters[1..]] },
            "twice" => m with { Adapters = [m.Adapters[0], .. m.Adapters] },
            "path" => m with { Bases = [m.Bases[0] with { File = "../" + m.Bases[0].File }, .. m.Bases[1..]] },
            "cores" => m with { Adapters = [m.Adapters[0] with { CoresFile = "cores-99999.safetensors" }, .. m.Adapters[1..]] },
            "ranks" => m with { Modules = m.Modules[1..] },
            _ => m with { Bases = m.Bases[1..] },
        };
        altered = altered with { Generation = altered.ComputeGeneration() };
        File.WriteAllBytes(Path.Combine(Output, "manifest.json"), altered.ToJson());
        Assert.Contains(expected, Assert.Throws<BundleFormatException>(() => Bundle.Open(Output)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_adapter_is_named()
    {
        using Bundle bundle = Bundle.Open(Output);
        Assert.Contains("'nobody'", Assert.Throws<KeyNotFoundException>(() => bundle.CoreBlob("nobody")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_core_too_large_for_half_precision_is_stored_wider()
    {
        PeftFiles.Write(_folder["big", "a"], [KeyValuePair.Create("m", new LoraDelta([60000, 1], [60000, 1], 2, 2, 1, 1))]);
        PeftFiles.Write(_folder["big", "b"], [KeyValuePair.Create("m", new LoraDelta([1, 0], [1, 0], 2, 2, 1, 1))]);
        Compressor.Compress(new CompressorOptions { Output = _folder["half"], DType = DType.F16 }, [_folder["big", "a"], _folder["big", "b"]]);
        using SafetensorsFile cores = SafetensorsFile.Open(_folder["half", "cores-00000.safetensors"]);
        Assert.Equal(DType.F32, cores.Entry("a/m").DType);
        Assert.Equal(DType.F16, cores.Entry("b/m").DType);
    }

    private static byte[] Blob(float[] values, long[] shape, string cluster = "0") => new SafetensorsWriter()
        .Metadata("adapter", "a").Metadata("cluster", cluster).Metadata("generation", "g").Metadata("digest", "d")
        .Add("m", values, shape).ToArray();
}
