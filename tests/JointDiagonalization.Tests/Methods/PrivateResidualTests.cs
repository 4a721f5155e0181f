using CsCheck;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Methods;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;
using Eigengate.JointDiagonalization.Storage;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Methods;

public sealed class PrivateResidualTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Output => _folder["out"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_error_is_the_tail_of_the_dense_difference_singular_values() => SmallCase.Check(c =>
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas());
        using var basis = RandomBasis(c);
        int rank = 1 + (c.Seed % 3);
        StoredProduct[] products = ProductEncoder.Encode(factors, basis, new StorageForm(false, rank, DType.F32, DType.F32), default);
        double[,] u = Dense.From(basis.U), vt = Dense.Transpose(Dense.From(basis.V));
        for (int i = 0; i < products.Length; i++)
        {
            double[,] core = Dense.From(products[i].Core!.Widen(), basis.RankU, basis.RankV);
            double[,] unit = Dense.Unit(c.Deltas()[i]);
            double[,] rest = Dense.Combine(unit, Dense.Multiply(Dense.Multiply(u, core), vt), -1 / products[i].Norm);
            double expected = Dense.SingularValues(rest).OrderDescending().Skip(rank).Sum(s => s * s);
            Assert.Equal(expected, products[i].RelSqError, 1e-9);
        }
    });

    [Fact]
    public void Enough_pairs_lose_nothing_and_are_no_more_than_the_product_needs() => SmallCase.Check(c =>
    {
        using CanonicalFactors factors = Synthetic.Canonical(c.Deltas());
        StoredProduct[] products = ProductEncoder.Encode(factors, null, new StorageForm(false, 50, DType.F32, DType.F32), default);
        Assert.All(products, p => Assert.InRange(p.RelSqError, 0, 1e-12));
        Assert.All(products, p => Assert.Equal(Math.Min(c.LoraRank, Math.Min(c.OutFeatures, c.InFeatures)), p.Residual!.P.Shape[1]));
    });

    [Theory]
    [InlineData(CompressionMethod.Full, 1, DType.F32, DType.F32, 1e-6)]
    [InlineData(CompressionMethod.Full, 2, DType.BF16, DType.F32, 1e-6)]
    [InlineData(CompressionMethod.Full, 2, DType.F16, DType.I8, 1e-6)]
    [InlineData(CompressionMethod.Diagonal, 3, DType.F32, DType.BF16, 1e-6)]
    public void The_report_states_what_the_files_serve_to_the_last_rounding(CompressionMethod method, int residual, DType dtype, DType coreDType, double tolerance)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 7, noise: 0.3);
        CompressionResult result = Compress(folders, new() { Output = Output, Method = method, RankU = 4, RankV = 4, Clusters = 2, Residual = residual, DType = dtype, CoreDType = coreDType });
        using Bundle bundle = Bundle.Open(Output);
        Assert.Equal((residual, coreDType.ToString()), (bundle.Manifest.Residual, bundle.Manifest.CoreDtype));
        foreach (ReportAdapter adapter in result.Report.Adapters)
        {
            PeftAdapter source = PeftAdapter.Open(folders.Single(f => Path.GetFileName(f) == adapter.Id));
            Assert.All(adapter.Modules, m => Assert.Equal(ServedError.Of(bundle, source, m.Key), m.Value, tolerance));
        }

        Assert.InRange(result.Report.CertifiedGap!.Value, 0, result.Report.MeanRelSqError);
    }

    [Fact]
    public void Every_pair_lowers_the_error_and_counts_as_saved_parameters_say()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 6, rank: 4, noise: 0.3);
        CompressionReport Run(int residual) => Compress(folders, new() { Output = Output, RankU = 3, RankV = 3, Residual = residual, Overwrite = true }).Report;
        CompressionReport[] reports = [.. Enumerable.Range(0, 4).Select(Run)];
        double source = AdapterFolders.Modules.Sum(m => 6.0 * 4 * (m.DOut + m.DIn));
        for (int t = 1; t < reports.Length; t++)
        {
            Assert.True(reports[t].MeanRelSqError < reports[t - 1].MeanRelSqError);
            double pairs = AdapterFolders.Modules.Sum(m => 6.0 * (m.DOut + m.DIn)) / source;
            Assert.Equal(reports[t - 1].ParametersSaved - pairs, reports[t].ParametersSaved, 1e-12);
        }
    }

    [Fact]
    public void A_basis_that_holds_everything_leaves_no_residual_to_store()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 2, families: 1, noise: 0);
        CompressionResult result = Compress(folders, new() { Output = Output, RankU = 8, RankV = 8, Residual = 2 });
        Assert.Equal(0, result.Report.MeanRelSqError, 1e-9);
        using Bundle bundle = Bundle.Open(Output);
        Assert.Empty(bundle.ReadResiduals("adapter-000"));
    }

    [Fact]
    public void An_exported_adapter_has_the_rank_of_basis_and_residual_and_the_served_product()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 5, noise: 0.3);
        Compress(folders, new() { Output = Output, RankU = 5, RankV = 3, Residual = 2 });
        using Bundle bundle = Bundle.Open(Output);
        PeftExport.Write(bundle, ["adapter-003"], _folder["exported"]);
        PeftAdapter exported = PeftAdapter.Open(_folder["exported", "adapter-003"]);
        foreach (BundleModule module in bundle.Manifest.Modules)
        {
            Assert.Equal(3 + 2, exported.Modules[module.Path].Rank);
            double[,] served = ServedError.Delta(bundle, "adapter-003", module.Path);
            Assert.True(Dense.SquaredDistance(served, Dense.Product(exported.ReadDelta(module.Path))) <= 1e-12 * Dense.SquaredNorm(served));
        }
    }

    [Fact]
    public void A_newcomer_is_given_a_residual_too()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 7, noise: 0.3);
        Compress(folders[..6], new() { Output = _folder["plain"], RankU = 4, RankV = 4 });
        CompressionResult members = Compress(folders[..6], new() { Output = Output, RankU = 4, RankV = 4, Residual = 1 });
        using Bundle plain = Bundle.Open(_folder["plain"]), bundle = Bundle.Open(Output);
        AdapterPlacement newcomer = AdapterPlacer.Place(bundle, PeftAdapter.Open(folders[6])), without = AdapterPlacer.Place(plain, PeftAdapter.Open(folders[6]));
        foreach (var (module, error) in newcomer.Modules)
            Assert.True(error < without.Modules[module] - 1e-3);
        AdapterPlacement member = AdapterPlacer.Place(bundle, PeftAdapter.Open(folders[2]));
        Assert.All(members.Report.Adapters[2].Modules, m => Assert.Equal(m.Value, member.Modules[m.Key], 1e-6));
    }

    [Fact]
    public void A_core_blob_carries_the_residual_and_refuses_half_of_it()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4, noise: 0.3);
        Compress(folders, new() { Output = Output, RankU = 3, RankV = 3, Residual = 1, CoreDType = DType.I8 });
        using Bundle bundle = Bundle.Open(Output);
        byte[] bytes = bundle.CoreBlob("adapter-001");
        CoreBlob blob = CoreBlob.Parse(bytes);
        Assert.Equal(bundle.ReadResiduals("adapter-001").Keys, blob.Residuals.Keys);
        Assert.All(bundle.ReadResiduals("adapter-001"), r => Assert.Equal(r.Value.P.Concat(r.Value.Q), blob.Residuals[r.Key].P.Concat(blob.Residuals[r.Key].Q)));
        Assert.All(bundle.ReadCores("adapter-001"), c => Assert.Equal(c.Value.Values, blob.Cores[c.Key].Values));
        foreach (string suffix in new[] { ".P", ".Q", ".scale" })
            Assert.Contains("missing", Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(Without(bytes, suffix))).Message, StringComparison.Ordinal);
        for (int length = 0; length < bytes.Length; length += 7)
            Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(bytes.AsMemory(0, length)));
    }

    private static byte[] Without(byte[] blob, string suffix)
    {
        using SafetensorsFile file = SafetensorsFile.Parse(blob, "blob");
        var writer = new SafetensorsWriter();
        foreach (var (key, value) in file.Metadata)
            writer.Metadata(key, value);
        foreach (TensorEntry tensor in file.Tensors.Values.Where(t => !t.Name.EndsWith(suffix, StringComparison.Ordinal)))
            writer.AddRaw(tensor.Name, tensor.DType, tensor.Shape, file.Bytes(tensor).ToArray());
        return writer.ToArray();
    }

    private static CompressionResult Compress(string[] folders, CompressorOptions options) => Compressor.Compress(options, folders);

    /// <summary>Not orthonormal: stored bases are not either, to the last bit.</summary>
    private static SharedBasis RandomBasis(SmallCase c)
    {
        var random = new Random(c.Seed);
        int rankU = Math.Min(c.RankU, c.OutFeatures), rankV = Math.Min(c.RankV, c.InFeatures);
        return SharedBasis.FromArrays(
            Synthetic.Gaussian(random, c.OutFeatures * rankU), c.OutFeatures, rankU, Synthetic.Gaussian(random, c.InFeatures * rankV), c.InFeatures, rankV);
    }
}
