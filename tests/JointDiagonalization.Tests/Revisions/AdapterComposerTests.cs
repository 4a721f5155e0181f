using CsCheck;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Revisions;

public sealed class AdapterComposerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(CompressionMethod.Full)]
    [InlineData(CompressionMethod.Diagonal)]
    public void A_mix_serves_the_weighted_sum_of_what_its_parts_serve(CompressionMethod method)
    {
        using Bundle bundle = Compressed(method);
        AddedAdapter mix = AdapterComposer.Compose(bundle, "mix", [new("adapter-000", 0.7), new("adapter-002", -0.3), new("adapter-004", 1.5)]);
        BundleExtension.Write(bundle, [mix], _folder["next"]);
        using Bundle next = Bundle.Open(_folder["next"]);
        foreach (var (module, _, _) in AdapterFolders.Modules)
        {
            double[,] expected = Dense.Sum(
            [
                Dense.Scaled(ServedError.Delta(bundle, "adapter-000", module), 0.7),
                Dense.Scaled(ServedError.Delta(bundle, "adapter-002", module), -0.3),
                Dense.Scaled(ServedError.Delta(bundle, "adapter-004", module), 1.5),
            ]);
            double[,] served = ServedError.Delta(next, "mix", module);
            Assert.True(Dense.SquaredDistance(expected, served) < 1e-10 * Dense.SquaredNorm(expected));
            Assert.Equal(Math.Sqrt(Dense.SquaredNorm(expected)), mix.Products[module].Norm, 1e-4);
        }
    }

    [Fact]
    public void Of_the_parts_residuals_the_best_of_the_bundles_rank_is_kept()
    {
        using Bundle bundle = Compressed(CompressionMethod.Full, noise: 0.4, residual: 2);
        AddedAdapter mix = AdapterComposer.Compose(bundle, "mix", [new("adapter-000", 0.7), new("adapter-002", -0.3)]);
        BundleExtension.Write(bundle, [mix], _folder["next"]);
        using Bundle next = Bundle.Open(_folder["next"]);
        double largest = 0;
        foreach (var (module, _, _) in AdapterFolders.Modules)
        {
            double[,] cores = Dense.Combine(Dense.Scaled(ServedDelta.OfCore(bundle, "adapter-000", module), 0.7), ServedDelta.OfCore(bundle, "adapter-002", module), -0.3);
            double[,] all = Dense.Combine(Dense.Scaled(ServedError.Delta(bundle, "adapter-000", module), 0.7), ServedError.Delta(bundle, "adapter-002", module), -0.3);
            double cutOff = Dense.SingularValues(Dense.Combine(all, cores, -1)).Skip(2).Sum(v => v * v);
            Assert.Equal(cutOff, Dense.SquaredDistance(all, ServedError.Delta(next, "mix", module)), 1e-6 * Dense.SquaredNorm(all));
            largest = Math.Max(largest, cutOff / Dense.SquaredNorm(all));
        }

        Assert.True(largest > 1e-4, $"{largest}");
    }

    [Theory]
    [InlineData(CompressionMethod.Full, 0, DType.F32)]
    [InlineData(CompressionMethod.Full, 2, DType.F32)]
    [InlineData(CompressionMethod.Full, 1, DType.I8)]
    [InlineData(CompressionMethod.Diagonal, 0, DType.F32)]
    public void The_stated_error_bounds_the_distance_from_the_same_mix_of_the_originals(CompressionMethod method, int residual, DType coreDtype)
    {
        using Bundle bundle = Compressed(method, noise: 0.4, residual, coreDtype);
        PeftAdapter[] originals = [.. Enumerable.Range(0, 3).Select(i => PeftAdapter.Open(_folder["in", $"adapter-00{2 * i}"]))];
        Gen.Double[-2, 2].Where(w => Math.Abs(w) > 0.01).Array[3].Sample(
            weights =>
            {
                AddedAdapter mix = AdapterComposer.Compose(bundle, "mix", [.. originals.Zip(weights, (a, w) => new MixPart(a.Id, w))]);
                string output = _folder[$"{Guid.NewGuid():N}"];
                BundleExtension.Write(bundle, [mix], output);
                using Bundle next = Bundle.Open(output);
                foreach (var (module, _, _) in AdapterFolders.Modules)
                {
                    double[,] wanted = Dense.Sum(originals.Zip(weights, (a, w) => Dense.Scaled(Dense.Product(a.ReadDelta(module)), w)));
                    double[,] served = ServedError.Delta(next, "mix", module);
                    Assert.InRange(Dense.SquaredDistance(wanted, served) / Dense.SquaredNorm(wanted), 0, mix.Products[module].RelSqError < 1 ? mix.Products[module].RelSqError + 1e-6 : double.MaxValue);
                }
            },
            iter: 12,
            threads: 1);
    }

    [Fact]
    public void A_single_part_of_weight_one_is_a_copy_with_the_error_of_the_part()
    {
        using Bundle bundle = Compressed(CompressionMethod.Full, noise: 0.4);
        AddedAdapter copy = AdapterComposer.Compose(bundle, "copy", [new("adapter-003", 1)]);
        ReportAdapter part = CompressionReport.TryRead(_folder["bundle"])!.Adapters.Single(a => a.Id == "adapter-003");
        foreach (var (module, core) in bundle.ReadCores("adapter-003"))
        {
            Assert.Equal(core.Values, copy.Products[module].Core!.Widen());
            Assert.Equal(part.Modules[module], copy.Products[module].RelSqError, 1e-6);
        }
    }

    [Fact]
    public void Adapters_of_different_clusters_are_refused_with_their_clusters()
    {
        using Bundle bundle = Compressed(CompressionMethod.Full);
        var error = Assert.Throws<ArgumentException>(() => AdapterComposer.Compose(bundle, "mix", [new("adapter-000", 1), new("adapter-001", 1)]));
        Assert.Contains("'adapter-000' is in cluster 0, 'adapter-001' is in cluster 1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_parts_repeated_parts_and_useless_weights_are_refused()
    {
        using Bundle bundle = Compressed(CompressionMethod.Full);
        Assert.Throws<KeyNotFoundException>(() => AdapterComposer.Compose(bundle, "mix", [new("nobody", 1)]));
        Assert.Throws<ArgumentException>(() => AdapterComposer.Compose(bundle, "mix", []));
        Assert.Contains("2 times", Refusal(new("adapter-000", 1), new("adapter-000", 2)), StringComparison.Ordinal);
        Assert.Contains("weight of 'adapter-000'", Refusal(new MixPart("adapter-000", double.NaN)), StringComparison.Ordinal);
        Assert.Contains("weight of 'adapter-000'", Refusal(new MixPart("adapter-000", 0)), StringComparison.Ordinal);

        string Refusal(params MixPart[] mix) => Assert.Throws<ArgumentException>(() => AdapterComposer.Compose(bundle, "mix", mix)).Message;
    }

    [Fact]
    public void The_digest_names_the_recipe_and_not_the_order()
    {
        using Bundle bundle = Compressed(CompressionMethod.Full);
        string Digest(params MixPart[] mix) => AdapterComposer.Compose(bundle, "mix", mix).Digest;
        Assert.Equal(Digest(new("adapter-000", 0.5), new("adapter-002", 1)), Digest(new("adapter-002", 1), new("adapter-000", 0.5)));
        Assert.NotEqual(Digest(new("adapter-000", 0.5), new("adapter-002", 1)), Digest(new("adapter-000", 0.6), new("adapter-002", 1)));
    }

    [Theory]
    [InlineData(CompressionMethod.Full)]
    [InlineData(CompressionMethod.Diagonal)]
    public void A_mix_becomes_an_ordinary_adapter_without_a_bundle(CompressionMethod method)
    {
        using Bundle bundle = Compressed(method);
        AddedAdapter mix = AdapterComposer.Compose(bundle, "mix", [new("adapter-000", 0.7), new("adapter-002", 0.3)]);
        PeftExport.Write(bundle, mix, _folder["peft"]);
        PeftAdapter written = PeftAdapter.Open(_folder["peft"]);
        foreach (var (module, _, _) in AdapterFolders.Modules)
        {
            double[,] expected = Dense.Sum(
                [Dense.Scaled(ServedError.Delta(bundle, "adapter-000", module), 0.7), Dense.Scaled(ServedError.Delta(bundle, "adapter-002", module), 0.3)]);
            Assert.True(Dense.SquaredDistance(expected, Dense.Product(written.ReadDelta(module))) < 1e-10 * Dense.SquaredNorm(expected));
        }

        Assert.Throws<IOException>(() => PeftExport.Write(bundle, mix, _folder["peft"]));
    }

    private Bundle Compressed(CompressionMethod method, double noise = 0.05, int residual = 0, DType coreDtype = DType.F32)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 8, noise: noise);
        Compressor.Compress(
            new CompressorOptions { Output = _folder["bundle"], Method = method, RankU = 6, RankV = 6, Clusters = 2, Residual = residual, CoreDType = coreDtype }, folders);
        return Bundle.Open(_folder["bundle"]);
    }
}
