using CsCheck;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Revisions;

public sealed class RecompressorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(CompressionMethod.Full, 0, DType.F32)]
    [InlineData(CompressionMethod.Full, 1, DType.F32)]
    [InlineData(CompressionMethod.Full, 0, DType.I8)]
    [InlineData(CompressionMethod.Diagonal, 0, DType.F32)]
    public void The_new_bases_are_never_worse_than_the_old_ones_on_the_same_adapters(CompressionMethod method, int residual, DType coreDtype) =>
        Gen.Select(Gen.Int[0, 10_000], Gen.Int[1, 4], Gen.Int[2, 5], Gen.Int[1, 3], Gen.Double[0.02, 1]).Sample(
            (seed, clusters, rank, families, noise) =>
            {
                using var folder = new TemporaryFolder();
                string[] folders = AdapterFolders.Write(folder["in"], 10, families, noise: noise, seed: seed);
                Compressor.Compress(
                    new CompressorOptions { Output = folder["old"], Method = method, RankU = rank, RankV = rank, Clusters = clusters, Iterations = 3, Residual = residual, CoreDType = coreDtype },
                    folders[..7]);
                using Bundle old = Bundle.Open(folder["old"]);
                RecompressionResult result = Recompressor.Recompress(old, Recompressor.SettingsOf(old.Manifest, folder["new"]), folders[2..]);

                // The old error, independently: members where they were, newcomers where they are placed.
                using Bundle next = Bundle.Open(folder["new"]);
                List<double> before = [], after = [];
                foreach (PeftAdapter adapter in folders[2..].Select(f => PeftAdapter.Open(f)))
                {
                    before.AddRange(old.Contains(adapter.Id)
                        ? adapter.Modules.Keys.Select(m => ServedError.Of(old, adapter, m))
                        : AdapterPlacer.Place(old, adapter).Modules.Values);
                    after.AddRange(adapter.Modules.Keys.Select(m => ServedError.Of(next, adapter, m)));
                }

                Assert.Equal(before.Average(), result.PublishedError, 1e-5);
                Assert.Equal(after.Average(), result.Result.Report.MeanRelSqError, 1e-5);
                Assert.True(after.Average() <= before.Average() + 1e-6, $"{before.Average()} -> {after.Average()}");
            },
            iter: 6,
            threads: 1);

    [Fact]
    public void Newcomers_come_in_leavers_go_and_settings_stay()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 10);
        CompressionResult first = Compress(folders[..8]);
        using Bundle old = Bundle.Open(_folder["old"]);
        RecompressionResult result = Recompressor.Recompress(old, Recompressor.SettingsOf(old.Manifest, _folder["new"]), folders[1..]);
        Assert.Equal(["adapter-008", "adapter-009"], result.Added);
        Assert.Equal(["adapter-000"], result.Dropped);
        BundleManifest next = result.Result.Manifest;
        Assert.Equal(folders[1..].Select(Path.GetFileName), next.Adapters.Select(a => a.Id));
        Assert.Equal(
            (first.Manifest.Method, 6, 4, 2, 7UL, 5, "BF16", "test/base"),
            (next.Method, next.Rank[0], next.Rank[1], next.Clusters, next.Seed, next.Iterations, next.Dtype, next.BaseModel));
        Assert.NotEqual(first.Manifest.Generation, next.Generation);
        Assert.True(result.Result.Report.MeanRelSqError < result.PublishedError);
        Assert.Null(result.ColdError);
        // Clusters keep their numbers: whoever stayed is where it was.
        foreach (string id in folders[1..8].Select(f => Path.GetFileName(f)!))
            Assert.Equal(old.Adapter(id).Cluster, next.Adapters.Single(a => a.Id == id).Cluster);
    }

    [Fact]
    public void An_adapter_whose_content_changed_is_a_newcomer()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 8);
        Compress(folders);
        // Number 1 becomes a member of the other family.
        Directory.Delete(folders[1], recursive: true);
        PeftAdapter other = PeftAdapter.Open(folders[2]);
        PeftFiles.Write(folders[1], PeftFiles.Config(3, alpha: 3), PeftFiles.Weights(other.Modules.Keys.Select(m => KeyValuePair.Create(m, other.ReadDelta(m)))));
        using Bundle old = Bundle.Open(_folder["old"]);
        RecompressionResult result = Recompressor.Recompress(old, Recompressor.SettingsOf(old.Manifest, _folder["new"]), folders);
        Assert.Equal(["adapter-001"], result.Added);
        Assert.Equal(old.Adapter("adapter-002").Cluster, result.Result.Manifest.Adapters[1].Cluster);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(1)]
    public void Clusters_can_be_added_and_taken_away(int clusters)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 9, families: 3, noise: 0.02);
        Compress(folders);
        using Bundle old = Bundle.Open(_folder["old"]);
        RecompressionResult result = Recompressor.Recompress(
            old, Recompressor.SettingsOf(old.Manifest, _folder["new"]) with { Clusters = clusters }, folders);
        Assert.Equal(clusters, result.Result.Manifest.Clusters);
        Assert.Equal(Enumerable.Range(0, clusters), result.Result.Manifest.Adapters.Select(a => a.Cluster).Distinct().Order());
        Assert.Equal(clusters > 2, result.Result.Report.MeanRelSqError < result.PublishedError);
        using Bundle next = Bundle.Open(_folder["new"]);
    }

    [Fact]
    public void A_cluster_that_lost_its_members_gets_the_worst_fitted_adapter()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 8, noise: 0.3);
        Compress(folders);
        using Bundle old = Bundle.Open(_folder["old"]);
        string[] staying = [.. folders.Where(f => old.Adapter(Path.GetFileName(f)).Cluster == 0)];
        Assert.InRange(staying.Length, 2, 6);
        BundleManifest next = Recompressor.Recompress(old, Recompressor.SettingsOf(old.Manifest, _folder["new"]), staying).Result.Manifest;
        Assert.Equal([0, 1], next.Adapters.Select(a => a.Cluster).Distinct().Order());
    }

    [Fact]
    public void A_cold_start_is_compared_and_leaves_nothing()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 8);
        Compress(folders[..6]);
        using Bundle old = Bundle.Open(_folder["old"]);
        CompressorOptions options = Recompressor.SettingsOf(old.Manifest, _folder["new"]);
        RecompressionResult result = Recompressor.Recompress(old, options, folders, coldCheck: true);
        double cold = Compressor.Compress(options with { Output = _folder["cold"] }, folders).Report.MeanRelSqError;
        Assert.Equal(cold, result.ColdError!.Value, 1e-9);
        Assert.Equal(["cold", "in", "new", "old"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Residuals_and_storage_types_stay_and_what_has_no_bases_is_refused()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 6);
        CompressorOptions settings = new() { Output = _folder["old"], RankU = 4, RankV = 4, Residual = 2, DType = DType.BF16, CoreDType = DType.I8 };
        Compressor.Compress(settings, folders);
        using (Bundle old = Bundle.Open(_folder["old"]))
        {
            BundleManifest next = Recompressor.Recompress(old, Recompressor.SettingsOf(old.Manifest, _folder["new"]), folders).Result.Manifest;
            Assert.Equal((2, "BF16", "I8"), (next.Residual, next.Dtype, next.CoreDtype));
        }

        Compressor.Compress(new CompressorOptions { Output = _folder["svd"], Method = CompressionMethod.Svd, RankU = 2, RankV = 2 }, folders);
        using Bundle svd = Bundle.Open(_folder["svd"]);
        Assert.Contains("no clusters and bases", Assert.Throws<ArgumentException>(() => Recompressor.SettingsOf(svd.Manifest, _folder["x"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_method_and_the_published_folder_are_refused()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4);
        Compress(folders);
        using Bundle old = Bundle.Open(_folder["old"]);
        CompressorOptions options = Recompressor.SettingsOf(old.Manifest, _folder["new"]);
        Assert.Contains("keeps the method", Assert.Throws<ArgumentException>(
            () => Recompressor.Recompress(old, options with { Method = CompressionMethod.Diagonal, RankV = 6 }, folders)).Message, StringComparison.Ordinal);
        Assert.Contains("never changed", Assert.Throws<IOException>(
            () => Recompressor.Recompress(old, options with { Output = _folder["old"], Overwrite = true }, folders)).Message, StringComparison.Ordinal);
        Assert.Equal(["in", "old"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
    }

    private CompressionResult Compress(string[] folders) => Compressor.Compress(
        new CompressorOptions { Output = _folder["old"], RankU = 6, RankV = 4, Clusters = 2, Seed = 7, Iterations = 5, DType = DType.BF16 }, folders);
}
