using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Revisions;

public sealed class BundleExtensionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(CompressionMethod.Full, DType.F32, 1e-5)]
    [InlineData(CompressionMethod.Full, DType.BF16, 1e-3)]
    [InlineData(CompressionMethod.Diagonal, DType.F32, 1e-5)]
    [InlineData(CompressionMethod.Full, DType.F32, 1e-5, 2)]
    [InlineData(CompressionMethod.Full, DType.F32, 1e-5, 1, DType.I8)]
    [InlineData(CompressionMethod.Svd, DType.F32, 1e-5)]
    public void Newcomers_are_served_with_the_error_they_were_placed_with_beside_untouched_files(
        CompressionMethod method, DType dtype, double tolerance, int residual = 0, DType? coreDtype = null)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 10);
        CompressionResult old = Compress(folders[..8], method, dtype, residual, coreDtype);
        PeftAdapter[] newcomers = [.. folders[8..].Select(f => PeftAdapter.Open(f))];
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        AdapterPlacement[] placements = [.. newcomers.Select(a => AdapterPlacer.Place(bundle, a))];
        BundleManifest manifest = BundleExtension.Write(
            bundle, [.. newcomers.Zip(placements, (a, p) => AdapterPlacer.Realise(bundle, a, p))], _folder["next"]);

        Assert.NotEqual(old.Manifest.Generation, manifest.Generation);
        foreach (string file in Directory.EnumerateFiles(_folder["bundle"], "*.safetensors"))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(_folder["next", Path.GetFileName(file)]));
        using Bundle next = Bundle.Open(_folder["next"]);
        Assert.Equal(10, next.Manifest.Adapters.Length);
        Assert.Equal("cores-00001.safetensors", next.Adapter(newcomers[0].Id).CoresFile);
        foreach (var (adapter, placement) in newcomers.Zip(placements))
        {
            Assert.Equal(placement.Cluster, next.Adapter(adapter.Id).Cluster);
            Assert.Equal(adapter.ComputeDigest(), next.Adapter(adapter.Id).Digest);
            foreach (var (module, error) in placement.Modules)
                Assert.Equal(error, ServedError.Of(next, adapter, module), tolerance);
        }

        foreach (string folder in folders[..8])
        {
            PeftAdapter member = PeftAdapter.Open(folder);
            foreach (string module in member.Modules.Keys)
                Assert.Equal(ServedError.Of(bundle, member, module), ServedError.Of(next, member, module));
        }
    }

    [Fact]
    public void The_report_covers_the_newcomers_and_no_longer_certifies()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 9);
        CompressionReport old = Compress(folders[..8]).Report;
        CompressionReport all = Compressor.Compress(Options(_folder["all"]), folders).Report;
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        PeftAdapter newcomer = PeftAdapter.Open(folders[8]);
        AdapterPlacement placement = AdapterPlacer.Place(bundle, newcomer);
        BundleExtension.Write(bundle, [AdapterPlacer.Realise(bundle, newcomer, placement)], _folder["next"]);

        CompressionReport report = CompressionReport.TryRead(_folder["next"])!;
        Assert.Equal(placement.Modules, report.Adapters[8].Modules);
        Assert.Equal(report.Adapters.SelectMany(a => a.Modules.Values).Average(), report.MeanRelSqError, 1e-12);
        Assert.InRange(report.NormWeightedRelSqError, old.NormWeightedRelSqError, 1);
        Assert.Null(report.CertifiedGap);
        Assert.Equal(all.BytesIn, report.BytesIn);
        Assert.Equal(Directory.EnumerateFiles(_folder["next"], "*.safetensors").Sum(f => new FileInfo(f).Length), report.BytesOut);
        // The same shapes and ranks as compressing all nine at once, so as many numbers.
        Assert.Equal(all.ParametersSaved, report.ParametersSaved, 1e-9);
    }

    [Fact]
    public void Taken_ids_empty_additions_and_the_bundle_itself_are_refused_and_leave_nothing()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4);
        Compress(folders);
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        PeftAdapter member = PeftAdapter.Open(folders[0]);
        AddedAdapter added = AdapterPlacer.Realise(bundle, member, AdapterPlacer.Place(bundle, member));
        Assert.Contains("already has an adapter 'adapter-000'", Refusal([added], "next"), StringComparison.Ordinal);
        Assert.Contains("twice", Refusal([added with { Id = "new" }, added with { Id = "new" }], "next"), StringComparison.Ordinal);
        Assert.Contains("no adapter to add", Refusal([], "next"), StringComparison.Ordinal);
        Assert.Contains("never changed", Refusal([added with { Id = "new" }], "bundle"), StringComparison.Ordinal);
        Assert.Equal(["bundle", "in"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());

        string Refusal(AddedAdapter[] adapters, string output) =>
            Assert.ThrowsAny<Exception>(() => BundleExtension.Write(bundle, adapters, _folder[output], overwrite: true)).Message;
    }

    [Fact]
    public void An_adapter_with_a_module_that_its_cluster_lacks_counts_it_as_lost()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4);
        Compress(folders);
        string path = AdapterFolders.Modules[0].Path;
        LoraDelta known = PeftAdapter.Open(folders[0]).ReadDelta(path);
        PeftFiles.Write(_folder["new"], PeftFiles.Config(3, alpha: 3), PeftFiles.Weights(
            [KeyValuePair.Create(path, known), KeyValuePair.Create("model.layers.9.mlp.up_proj", known)]));
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        PeftAdapter newcomer = PeftAdapter.Open(_folder["new"]);
        AdapterPlacement placement = AdapterPlacer.Place(bundle, newcomer);
        BundleManifest manifest = BundleExtension.Write(bundle, [AdapterPlacer.Realise(bundle, newcomer, placement)], _folder["next"]);
        BundleAdapter entry = manifest.Adapters.Single(a => a.Id == "new");
        Assert.Equal([path], entry.Modules);
        Assert.Equal(placement.RelSqError, entry.RelSqError, 1e-12);
        Assert.Equal(Math.Sqrt(2 * Dense.SquaredNorm(Dense.Product(newcomer.ReadDelta(path)))), entry.Norm, 1e-4);
    }

    private static CompressorOptions Options(string output) => new() { Output = output, RankU = 5, RankV = 5, Clusters = 2 };

    private CompressionResult Compress(
        string[] folders, CompressionMethod method = CompressionMethod.Full, DType dtype = DType.F32, int residual = 0, DType? coreDtype = null)
    {
        CompressorOptions options = Options(_folder["bundle"]) with { Method = method, DType = dtype, Residual = residual, CoreDType = coreDtype };
        return Compressor.Compress(method == CompressionMethod.Svd ? options with { RankU = 2, RankV = 2, Clusters = 1 } : options, folders);
    }
}
