using System.Text.Json.Nodes;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Peft;

public sealed class PeftExportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Exported => _folder["exported"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(CompressionMethod.Full, 5, 3, DType.F32)]
    [InlineData(CompressionMethod.Full, 3, 5, DType.F32)]
    [InlineData(CompressionMethod.Full, 12, 12, DType.BF16)]
    [InlineData(CompressionMethod.Diagonal, 6, 6, DType.F32)]
    public void Every_exported_adapter_has_the_product_that_the_bundle_serves(CompressionMethod method, int rankU, int rankV, DType dtype)
    {
        using Bundle bundle = Compress(new CompressorOptions
        {
            Output = _folder["bundle"],
            Method = method,
            RankU = rankU,
            RankV = rankV,
            Clusters = 2,
            DType = dtype,
        });
        string[] ids = [.. bundle.Manifest.Adapters.Select(a => a.Id)];
        Assert.Empty(PeftExport.Write(bundle, ids, Exported));
        foreach (string id in ids)
        {
            PeftAdapter exported = PeftAdapter.Open(Path.Combine(Exported, id));
            var cores = bundle.ReadCores(id);
            Assert.Equal(cores.Keys, exported.Modules.Keys);
            Assert.Equal("test/base", exported.BaseModel);
            var basis = bundle.ReadBasis(bundle.Adapter(id).Cluster);
            foreach (var (module, core) in cores)
            {
                Assert.Equal((1, Math.Min(core.RankU, core.RankV)), (exported.Modules[module].Scale, exported.Modules[module].Rank));
                double[,] served = Dense.Multiply(
                    Dense.Multiply(Dense.From(basis[module].U), Dense.From(core.Values, core.RankU, core.RankV)),
                    Dense.Transpose(Dense.From(basis[module].V)));
                double[,] product = Dense.Product(exported.ReadDelta(module));
                Assert.True(Dense.SquaredDistance(served, product) <= 1e-12 * Dense.SquaredNorm(served));
                basis[module].Dispose();
            }
        }
    }

    [Fact]
    public void Modules_of_another_rank_have_patterns_of_rank_and_alpha()
    {
        // k_proj has 8 outputs, so its rank is capped at 8 where the others have 12.
        using Bundle bundle = Compress(new CompressorOptions { Output = _folder["bundle"], RankU = 12, RankV = 12 });
        PeftExport.Write(bundle, ["adapter-000"], Exported);
        Assert.Equal(["adapter-000"], Directory.EnumerateFileSystemEntries(Exported).Select(Path.GetFileName));
        var config = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Exported, "adapter-000", "adapter_config.json")))!;
        Assert.Equal((12, 12), ((int)config["r"]!, (int)config["lora_alpha"]!));
        foreach (string pattern in new[] { "rank_pattern", "alpha_pattern" })
            Assert.Equal("""{"model.layers.0.self_attn.k_proj":8}""", config[pattern]!.ToJsonString());
        Assert.Equal(AdapterFolders.Modules.Select(m => m.Path).Order(StringComparer.Ordinal), config["target_modules"]!.AsArray().Select(n => (string?)n));
    }

    [Fact]
    public void The_chosen_storage_type_is_written()
    {
        using Bundle bundle = Compress(new CompressorOptions { Output = _folder["bundle"] });
        PeftExport.Write(bundle, ["adapter-001"], Exported, DType.BF16);
        using SafetensorsFile weights = SafetensorsFile.Open(Path.Combine(Exported, "adapter-001", "adapter_model.safetensors"));
        Assert.All(weights.Tensors.Values, t => Assert.Equal(DType.BF16, t.DType));
    }

    [Fact]
    public void An_adapter_without_any_core_is_named_and_left_out()
    {
        var random = new Random(1);
        LoraDelta some = Synthetic.Random(random, 6, 5, 2);
        PeftFiles.Write(_folder["in", "a"], [KeyValuePair.Create("m.first", some)]);
        PeftFiles.Write(_folder["in", "b"], [KeyValuePair.Create("m.other", new LoraDelta(new float[12], some.A, 6, 5, 2, 1))]);
        Compressor.Compress(new CompressorOptions { Output = _folder["bundle"] }, PeftAdapter.FindFolders(_folder["in"]));
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        Assert.Equal("b", Assert.Single(PeftExport.Write(bundle, ["a", "b"], Exported)).Id);
        Assert.Equal(["a"], Directory.EnumerateDirectories(Exported).Select(Path.GetFileName));
    }

    [Fact]
    public void A_refused_export_leaves_nothing_behind()
    {
        using Bundle bundle = Compress(new CompressorOptions { Output = _folder["bundle"] });
        Assert.Throws<KeyNotFoundException>(() => PeftExport.Write(bundle, ["nobody"], Exported));
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => PeftExport.Write(bundle, ["adapter-000"], Exported, cancellation: cancelled.Token));
        Assert.Equal(["bundle", "in"], Directory.EnumerateDirectories(_folder.Path).Select(Path.GetFileName).Order());
        Directory.CreateDirectory(Exported);
        Assert.Contains("exists", Assert.Throws<IOException>(() => PeftExport.Write(bundle, ["adapter-000"], Exported)).Message, StringComparison.Ordinal);
    }

    private Bundle Compress(CompressorOptions options)
    {
        Compressor.Compress(options, AdapterFolders.Write(_folder["in"], 6, families: 2));
        return Bundle.Open(options.Output);
    }
}
