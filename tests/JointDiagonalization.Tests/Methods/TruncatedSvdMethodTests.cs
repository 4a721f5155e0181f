using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Methods;

public sealed class TruncatedSvdMethodTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(2, DType.F32)]
    [InlineData(1, DType.BF16)]
    public void Every_adapter_alone_has_the_least_error_of_its_rank(int rank, DType dtype)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 5, noise: 0.3);
        CompressionResult result = Compress(folders, rank, dtype);
        Assert.Equal(("svd", 0, rank), (result.Manifest.Method, result.Manifest.Iterations, result.Manifest.Residual));
        using Bundle bundle = Bundle.Open(_folder["out"]);
        Assert.Empty(bundle.ReadBasis(0));
        foreach (ReportAdapter adapter in result.Report.Adapters)
        {
            PeftAdapter source = PeftAdapter.Open(folders.Single(f => Path.GetFileName(f) == adapter.Id));
            Assert.Empty(bundle.ReadCores(adapter.Id));
            foreach (var (module, error) in adapter.Modules)
            {
                double tail = Dense.SingularValues(Dense.Unit(source.ReadDelta(module))).OrderDescending().Skip(rank).Sum(s => s * s);
                Assert.Equal(tail, error, dtype == DType.F32 ? 1e-7 : 1e-4);
                Assert.Equal(ServedError.Of(bundle, source, module), error, 1e-7);
            }
        }

        Assert.Equal(1 - (rank / 3.0), result.Report.ParametersSaved, 1e-12);
        Assert.Equal(0, result.Report.CertifiedGap!.Value, 1e-12);
    }

    [Fact]
    public void The_worked_example_of_the_specification_holds()
    {
        // ΔW = [[2, 0], [0, 1], [2, 1]], spec/adapters.md §4.4.
        PeftFiles.Write(_folder["in", "a"], PeftFiles.Config(2, alpha: 2), PeftFiles.Weights([KeyValuePair.Create("m", new LoraDelta([2, 0, 0, 1, 2, 1], [1, 0, 0, 1], 3, 2, 2, 1))]));
        CompressionResult result = Compress([_folder["in", "a"]], 1, DType.F32);
        Assert.Equal(0.139445, result.Report.MeanRelSqError, 5e-7);
        using Bundle bundle = Bundle.Open(_folder["out"]);
        Assert.Equal(
            [1.83205, 0.5547, 0.27735, 0.083975, 2.1094, 0.638675], ServedError.Delta(bundle, "a", "m").Cast<double>(), (a, b) => Math.Abs(a - b) < 5e-6);
    }

    [Fact]
    public void Export_and_placement_need_no_basis()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 3, noise: 0.3);
        CompressionResult result = Compress(folders[..2], 2, DType.F32);
        using Bundle bundle = Bundle.Open(_folder["out"]);
        PeftExport.Write(bundle, ["adapter-001"], _folder["exported"]);
        PeftAdapter exported = PeftAdapter.Open(_folder["exported", "adapter-001"]);
        Assert.All(exported.Modules.Values, m => Assert.Equal(2, m.Rank));
        AdapterPlacement member = AdapterPlacer.Place(bundle, PeftAdapter.Open(folders[1]));
        Assert.Empty(member.WithoutBasis);
        Assert.Equal(result.Report.Adapters[1].RelSqError, member.RelSqError, 1e-9);
        Assert.InRange(AdapterPlacer.Place(bundle, PeftAdapter.Open(folders[2])).RelSqError, 1e-6, 0.5);
    }

    [Fact]
    public void A_zero_product_is_stored_as_nothing()
    {
        LoraDelta some = Synthetic.Random(new Random(1), 6, 5, 2);
        PeftFiles.Write(_folder["in", "a"], [KeyValuePair.Create("m", some)]);
        PeftFiles.Write(_folder["in", "b"], [KeyValuePair.Create("m", new LoraDelta(new float[12], some.A, 6, 5, 2, 1))]);
        CompressionResult result = Compress(PeftAdapter.FindFolders(_folder["in"]), 2, DType.F32);
        Assert.Equal([1, 0], result.Manifest.Adapters.Select(a => a.Modules.Length));
        Assert.Empty(result.Report.Adapters[1].Modules);
    }

    [Theory]
    [InlineData(CompressionMethod.Svd, "svd has no clusters")]
    [InlineData(CompressionMethod.Ties, "ties has no clusters")]
    public void Settings_that_mean_nothing_to_a_method_are_refused(CompressionMethod method, string expected)
    {
        CompressorOptions options = new() { Output = _folder["out"], Method = method };
        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => Compressor.Compress(options with { Clusters = 2 }, [])).Message, StringComparison.Ordinal);
        Assert.Contains("private residual", Assert.Throws<ArgumentException>(() => Compressor.Compress(options with { Residual = 2 }, [])).Message, StringComparison.Ordinal);
        Assert.Contains("one rank", Assert.Throws<ArgumentException>(() => Compressor.Compress(options with { RankV = 2 }, [])).Message, StringComparison.Ordinal);
    }

    private CompressionResult Compress(IReadOnlyList<string> folders, int rank, DType dtype) => Compressor.Compress(
        new() { Output = _folder["out"], Method = CompressionMethod.Svd, RankU = rank, RankV = rank, DType = dtype }, folders);
}
