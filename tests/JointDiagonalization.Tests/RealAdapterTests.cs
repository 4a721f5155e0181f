using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests;

/// <summary>Two adapters trained by others, when the data folder lies beside the repository.</summary>
public sealed class RealAdapterTests
{
    [Theory]
    [InlineData("gpt2-tigrinya-lora", 36, 8, 4.0, "gpt2")]
    [InlineData("open-calm-1b-qkv-r1", 24, 1, 32.0, "cyberagent/open-calm-1b")]
    public void A_trained_adapter_opens_with_its_rank_and_scale(string name, int modules, int rank, double scale, string baseModel)
    {
        PeftAdapter adapter = PeftAdapter.Open(Data("adapters", name));
        adapter.RequireFinite();
        Assert.Equal(name, adapter.Id);
        Assert.Equal(baseModel, adapter.BaseModel);
        Assert.Equal(modules, adapter.Modules.Count);
        Assert.All(adapter.Modules.Values, m => Assert.Equal((rank, scale), (m.Rank, m.Scale)));
    }

    [Fact]
    public void An_adapter_of_another_base_is_refused_by_module()
    {
        var shapes = BaseShapes.Read(Data("models", "stories260k"));
        Assert.Equal(new ModuleShape(32, 64), shapes["model.layers.0.self_attn.k_proj"]);
        var error = Assert.Throws<AdapterFormatException>(() => PeftAdapter.Open(Data("adapters", "gpt2-tigrinya-lora"), shapes));
        Assert.Contains("transformer.h.0.attn.c_attn does not exist in the base model", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_single_trained_adapter_of_rank_8_is_lossless_at_rank_8()
    {
        using var folder = new TemporaryFolder();
        CompressionResult result = Compressor.Compress(
            new CompressorOptions { Output = folder["out"], RankU = 8, RankV = 8 }, [Data("adapters", "gpt2-tigrinya-lora")]);
        Assert.True(result.Report.MeanRelSqError < 1e-10, $"{result.Report.MeanRelSqError}");
        using Bundle bundle = Bundle.Open(folder["out"]);
        Assert.Equal("gpt2", bundle.Manifest.BaseModel);
    }

    private static string Data(params string[] parts)
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string candidate = Path.Combine([at.FullName, "shared", "data", .. parts]);
            if (Directory.Exists(candidate))
                return candidate;
        }

        Assert.Skip($"no folder 'shared/data/{string.Join('/', parts)}' beside the repository");
        return "";
    }
}
