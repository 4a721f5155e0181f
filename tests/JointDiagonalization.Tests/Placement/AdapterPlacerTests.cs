using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests.Placement;

public sealed class AdapterPlacerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(CompressionMethod.Full)]
    [InlineData(CompressionMethod.Diagonal)]
    public void A_member_gets_its_own_cluster_and_error_back(CompressionMethod method)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 8);
        CompressionReport report = Compress(folders, method).Report;
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        foreach (string folder in folders)
        {
            var placement = AdapterPlacer.Place(bundle, PeftAdapter.Open(folder));
            ReportAdapter expected = report.Adapters.Single(a => a.Id == placement.Adapter);
            Assert.Equal(expected.Cluster, placement.Cluster);
            Assert.Equal(expected.Modules.Keys, placement.Modules.Keys);
            Assert.All(expected.Modules, m => Assert.Equal(m.Value, placement.Modules[m.Key], 1e-5));
            Assert.Equal(expected.RelSqError, placement.RelSqError, 1e-5);
            Assert.Empty(placement.WithoutBasis);
        }
    }

    [Fact]
    public void A_newcomer_joins_its_family_with_the_error_of_the_dense_projection()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 9);
        CompressionResult result = Compress(folders[..8], CompressionMethod.Full);
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        PeftAdapter newcomer = PeftAdapter.Open(folders[8]);
        var placement = AdapterPlacer.Place(bundle, newcomer);
        // Families alternate, so the ninth belongs with the first.
        Assert.Equal(result.Manifest.Adapters[0].Cluster, placement.Cluster);
        var basis = bundle.ReadBasis(placement.Cluster);
        foreach (var (module, error) in placement.Modules)
        {
            double[,] unit = Dense.Unit(newcomer.ReadDelta(module));
            Assert.Equal(DenseAlternation.Error([unit], Dense.From(basis[module].U), Dense.From(basis[module].V)), error, 1e-5);
            basis[module].Dispose();
        }

        Assert.Equal(placement.Modules.Values.Average(), placement.RelSqError, 1e-12);
        Assert.True(placement.IsWithin(placement.RelSqError) && !placement.IsWithin(placement.RelSqError - 1e-9));
    }

    [Fact]
    public void Modules_the_bundle_lacks_count_as_lost_and_zero_products_not_at_all()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4);
        Compress(folders, CompressionMethod.Full);
        string path = AdapterFolders.Modules[0].Path;
        LoraDelta known = PeftAdapter.Open(folders[0]).ReadDelta(path);
        var zero = new LoraDelta(new float[8 * 2], new float[2 * 24], 8, 24, 2, 1);
        PeftFiles.Write(_folder["new"], PeftFiles.Config(3, alpha: 3), PeftFiles.Weights(
            [KeyValuePair.Create(path, known), KeyValuePair.Create("model.layers.9.mlp.up_proj", known)]));
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        var placement = AdapterPlacer.Place(bundle, PeftAdapter.Open(_folder["new"]));
        Assert.Equal(["model.layers.9.mlp.up_proj"], placement.WithoutBasis);
        Assert.Equal(1, placement.Modules["model.layers.9.mlp.up_proj"]);
        Assert.Equal((placement.Modules[path] + 1) / 2, placement.RelSqError, 1e-12);

        PeftFiles.Write(_folder["zero"], [KeyValuePair.Create(AdapterFolders.Modules[1].Path, zero)]);
        var nothing = AdapterPlacer.Place(bundle, PeftAdapter.Open(_folder["zero"]));
        Assert.Equal((0, 0.0), (nothing.Cluster, nothing.RelSqError));
        Assert.Empty(nothing.Modules);
    }

    [Fact]
    public void A_module_of_another_shape_is_refused_by_name()
    {
        Compress(AdapterFolders.Write(_folder["in"], 4), CompressionMethod.Full);
        string path = AdapterFolders.Modules[0].Path;
        PeftFiles.Write(_folder["new"], [KeyValuePair.Create(path, Synthetic.Random(new Random(1), 24, 25, 2))]);
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        var error = Assert.Throws<AdapterFormatException>(() => AdapterPlacer.Place(bundle, PeftAdapter.Open(_folder["new"])));
        Assert.Contains($"{path} is [24, 25]; the bundle has [24, 24]", error.Message, StringComparison.Ordinal);
    }

    private CompressionResult Compress(string[] folders, CompressionMethod method) => Compressor.Compress(
        new CompressorOptions { Output = _folder["bundle"], Method = method, RankU = 5, RankV = 5, Clusters = 2 }, folders);
}
