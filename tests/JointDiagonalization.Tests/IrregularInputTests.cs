using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests;

/// <summary>
/// spec/joint-diagonalization.md §9 through whole runs. Elsewhere: mixed ranks, missing modules and zero products in
/// CompressorTests and CanonicalFactorsTests; widening, shapes and single refusals in Peft; range of half precision in BundleTests.
/// </summary>
public sealed class IrregularInputTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Input => _folder["in"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void One_bad_adapter_among_a_thousand_is_named_and_the_rest_goes_on()
    {
        var random = new Random(1);
        for (int i = 0; i < 1000; i++)
        {
            LoraDelta delta = Synthetic.Random(random, 6, 5, 1);
            if (i == 617)
                delta.A[3] = float.NaN;
            PeftFiles.Write(_folder["in", $"a{i:D4}"], [KeyValuePair.Create("m", delta)]);
        }

        CompressorOptions options = new() { Output = _folder["out"], RankU = 3, RankV = 3 };
        CompressionResult result = Compressor.Compress(options, PeftAdapter.FindFolders(Input));
        SkippedAdapter skipped = Assert.Single(result.Skipped);
        Assert.Equal("a0617", skipped.Id);
        Assert.Contains("'base_model.model.m.lora_A.weight' holds NaN at [0, 3]", skipped.Reason, StringComparison.Ordinal);
        Assert.Equal(999, result.Manifest.Adapters.Length);

        var refused = Assert.Throws<AdapterFormatException>(
            () => Compressor.Compress(options with { Output = _folder["strict"], Strict = true }, PeftAdapter.FindFolders(Input)));
        Assert.Equal("a0617", refused.Adapter);
        Assert.False(Path.Exists(_folder["strict"]));
    }

    [Fact]
    public void Adapters_that_do_not_fit_the_base_are_left_out_by_module_and_shape()
    {
        string[] folders = [_folder["in", "fits"], _folder["in", "wide"], _folder["in", "elsewhere"]];
        var random = new Random(1);
        PeftFiles.Write(folders[0], [KeyValuePair.Create("model.layers.0.mlp.up_proj", Synthetic.Random(random, 5, 6, 2))]);
        PeftFiles.Write(folders[1], [KeyValuePair.Create("model.layers.0.mlp.up_proj", Synthetic.Random(random, 5, 7, 2))]);
        PeftFiles.Write(folders[2], [KeyValuePair.Create("model.layers.1.mlp.up_proj", Synthetic.Random(random, 5, 6, 2))]);
        Directory.CreateDirectory(_folder["base"]);
        new SafetensorsWriter().Add("model.layers.0.mlp.up_proj.weight", new float[30], [5, 6]).Save(_folder["base", "model.safetensors"]);
        CompressionResult result = Compressor.Compress(new() { Output = _folder["out"], BaseModelFolder = _folder["base"] }, folders);
        Assert.Equal(["fits"], result.Manifest.Adapters.Select(a => a.Id));
        Assert.Equal(["elsewhere", "wide"], result.Skipped.Select(s => s.Id).Order());
        Assert.Contains(result.Skipped, s => s.Reason.Contains("model.layers.0.mlp.up_proj is [5, 7]; the base model has [5, 6]", StringComparison.Ordinal));
        Assert.Contains(result.Skipped, s => s.Reason.Contains("model.layers.1.mlp.up_proj does not exist", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(CompressionMethod.Full)]
    [InlineData(CompressionMethod.Diagonal)]
    [InlineData(CompressionMethod.Svd)]
    [InlineData(CompressionMethod.Ties)]
    public void Duplicates_are_served_alike_and_weigh_twice(CompressionMethod method)
    {
        var random = new Random(4);
        LoraDelta one = Synthetic.Random(random, 12, 10, 2), other = Synthetic.Random(random, 12, 10, 2);
        void Write(string id, LoraDelta delta) => PeftFiles.Write(_folder["in", id], [KeyValuePair.Create("m", delta)]);
        CompressionResult Run(string output) => Compressor.Compress(
            new() { Output = _folder[output], Method = method, RankU = 2, RankV = 2, Keep = 0.5 }, PeftAdapter.FindFolders(Input));
        Write("a", one);
        Write("b", other);
        double alone = Run("single").Report.Adapters[0].RelSqError;
        for (int i = 0; i < 4; i++)
            Write($"a{i}", one);
        CompressionResult result = Run("many");
        Assert.Equal(6, result.Manifest.Adapters.Length);
        using Bundle bundle = Bundle.Open(_folder["many"]);
        for (int i = 0; i < 4; i++)
            Assert.Equal(ServedError.Delta(bundle, "a", "m"), ServedError.Delta(bundle, $"a{i}", "m"));
        double crowd = result.Report.Adapters[0].RelSqError;
        Assert.True(method == CompressionMethod.Svd ? crowd < 1e-9 : crowd < alone - 0.01, $"{alone} alone, {crowd} among copies");
    }

    [Fact]
    public void More_clusters_than_adapters_are_as_many_as_adapters_and_it_is_said()
    {
        CompressionResult result = Compressor.Compress(new() { Output = _folder["out"], RankU = 2, RankV = 2, Clusters = 9 }, AdapterFolders.Write(Input, 3));
        Assert.Equal(3, result.Manifest.Clusters);
        Assert.Equal([0, 1, 2], result.Manifest.Adapters.Select(a => a.Cluster).Order());
        Assert.Contains("9 clusters were asked for; 3 adapters fill 3", result.Notes);
    }

    [Theory]
    [InlineData(9, true)]
    [InlineData(8, false)]
    public void A_rank_that_holds_every_direction_is_lossless_and_it_is_said(int rank, bool lossless)
    {
        string[] folders = AdapterFolders.Write(Input, 3, families: 3, rank: 3, noise: 0.5);
        CompressionResult result = Compressor.Compress(new() { Output = _folder["out"], RankU = rank, RankV = rank }, folders);
        Assert.Equal(lossless, result.Report.MeanRelSqError < 1e-9);
        Assert.Equal(lossless, result.Notes.Any(n => n.Contains("lose nothing but rounding", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(CompressionMethod.Full)]
    [InlineData(CompressionMethod.Diagonal)]
    [InlineData(CompressionMethod.Svd)]
    [InlineData(CompressionMethod.Ties)]
    public void A_rank_above_both_dimensions_is_capped(CompressionMethod method)
    {
        CompressionResult result = Compressor.Compress(
            new() { Output = _folder["out"], Method = method, RankU = 100, RankV = 100, Keep = 1 }, AdapterFolders.Write(Input, 4, rank: 50));
        Assert.All(result.Manifest.Bases.SelectMany(b => b.Ranks), r =>
        {
            BundleModule module = result.Manifest.Modules.Single(m => m.Path == r.Key);
            Assert.InRange(r.Value[0], 1, module.DOut);
            Assert.InRange(r.Value[1], 1, module.DIn);
        });
        if (method is CompressionMethod.Full or CompressionMethod.Svd)
            Assert.Equal(0, result.Report.MeanRelSqError, 1e-9);
    }

    [Theory]
    [InlineData(CompressionMethod.Full)]
    [InlineData(CompressionMethod.Diagonal)]
    [InlineData(CompressionMethod.Svd)]
    [InlineData(CompressionMethod.Ties)]
    public void A_collection_of_zeros_is_lossless_and_serves_nothing(CompressionMethod method)
    {
        var zero = new LoraDelta(new float[16], new float[12], 8, 6, 2, 1);
        PeftFiles.Write(_folder["in", "a"], [KeyValuePair.Create("m", zero)]);
        PeftFiles.Write(_folder["in", "b"], [KeyValuePair.Create("m", zero)]);
        CompressionResult result = Compressor.Compress(new() { Output = _folder["out"], Method = method }, PeftAdapter.FindFolders(Input));
        Assert.Equal((0, 0), (result.Report.MeanRelSqError, result.Report.CertifiedGap ?? 0));
        Assert.All(result.Manifest.Adapters, a => Assert.Equal((0, 0.0), (a.Cluster, a.RelSqError)));
        using Bundle bundle = Bundle.Open(_folder["out"]);
        Assert.Empty(bundle.ReadCores("a"));
        Assert.Empty(bundle.ReadResiduals("a"));
    }

    [Theory]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void Narrow_input_is_fitted_like_its_widened_values(DType dtype)
    {
        for (int i = 0; i < 4; i++)
            PeftFiles.Write(_folder["in", $"a{i}"], [KeyValuePair.Create("m", Synthetic.Random(new Random(i), 9, 8, 2))], dtype);
        foreach (string folder in PeftAdapter.FindFolders(Input))
            PeftFiles.Write(_folder["wide", Path.GetFileName(folder)], PeftFiles.Config(2), PeftFiles.Weights([KeyValuePair.Create("m", PeftAdapter.Open(folder).ReadDelta("m"))]));
        CompressorOptions options = new() { Output = _folder["narrow-out"], RankU = 3, RankV = 3 };
        CompressionResult narrow = Compressor.Compress(options, PeftAdapter.FindFolders(Input));
        CompressionResult wide = Compressor.Compress(options with { Output = _folder["wide-out"] }, PeftAdapter.FindFolders(_folder["wide"]));
        Assert.Equal(wide.Manifest.Bases[0].Sha256, narrow.Manifest.Bases[0].Sha256);
        Assert.Equal(wide.Manifest.Cores[0].Sha256, narrow.Manifest.Cores[0].Sha256);
    }
}
