using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Runs;

public sealed class ResumeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string[] _folders;

    public ResumeTests() => _folders = AdapterFolders.Write(_folder["in"], 6, noise: 0.3);

    private string Output => _folder["out"];

    private string Unfinished => _folder["out.unfinished"];

    private CompressorOptions Options => new() { Output = Output, RankU = 4, RankV = 4, Clusters = 2, Residual = 1, CoreDType = DType.I8 };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(CompressionStage.Fitting, 1)]
    [InlineData(CompressionStage.Fitting, 2)]
    [InlineData(CompressionStage.Writing, 0)]
    public void A_killed_run_is_continued_to_the_same_bytes(CompressionStage stage, int done)
    {
        CompressionResult whole = Compressor.Compress(Options with { Output = _folder["whole"] }, _folders);
        Kill(stage, done);
        List<CompressionProgress> seen = [];
        CompressionResult resumed = Compressor.Compress(Options, _folders, new Immediate(seen.Add));

        int fitted = stage == CompressionStage.Fitting ? done : 3;
        Assert.Contains($"continued an unfinished run: {fitted} of 3 modules were done", resumed.Notes);
        Assert.Equal((fitted, 3), seen.Where(p => p.Stage == CompressionStage.Resuming).Select(p => (p.Done, p.Total)).Single());
        Assert.DoesNotContain(seen, p => p.Stage == CompressionStage.Clustering);
        Assert.Equal(whole.Manifest.Generation, resumed.Manifest.Generation);
        Assert.Equal(whole.Report.CertifiedGap, resumed.Report.CertifiedGap);
        Assert.Equal((whole.Report.MeanRelSqError, whole.Report.ParametersSaved), (resumed.Report.MeanRelSqError, resumed.Report.ParametersSaved));
        foreach (string file in Directory.EnumerateFiles(_folder["whole"]).Where(f => !Path.GetFileName(f).StartsWith("report.", StringComparison.Ordinal)))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(_folder["out", Path.GetFileName(file)]));
        Assert.False(Directory.Exists(Unfinished));
    }

    [Theory]
    [InlineData("settings")]
    [InlineData("adapters")]
    [InlineData("garbage")]
    public void What_another_run_left_is_removed_and_said(string difference)
    {
        Kill(CompressionStage.Fitting, 2);
        if (difference == "garbage")
            File.Delete(Path.Combine(Unfinished, "run.json"));
        CompressorOptions options = difference == "settings" ? Options with { Seed = 1 } : Options;
        string[] folders = difference == "adapters" ? _folders[1..] : _folders;
        CompressionResult result = Compressor.Compress(options, folders);
        Assert.Contains("an unfinished run of other adapters, settings or another build was removed", result.Notes);
        CompressionResult fresh = Compressor.Compress(options with { Output = _folder["fresh"] }, folders);
        Assert.Equal(fresh.Manifest.Generation, result.Manifest.Generation);
        Assert.Empty(fresh.Notes);
    }

    [Fact]
    public void A_module_file_that_was_cut_is_fitted_again()
    {
        Kill(CompressionStage.Fitting, 2);
        string module = Path.Combine(Unfinished, "module-00001.safetensors");
        File.WriteAllBytes(module, File.ReadAllBytes(module)[..100]);
        string whole = Compressor.Compress(Options with { Output = _folder["whole"] }, _folders).Manifest.Generation;
        Assert.Equal(whole, Compressor.Compress(Options, _folders).Manifest.Generation);
    }

    [Fact]
    public void Two_runs_to_one_output_do_not_mix()
    {
        IOException? refused = null;
        var progress = new Immediate(p =>
        {
            if (p is { Stage: CompressionStage.Fitting, Done: 1 })
                refused = Assert.Throws<IOException>(() => Compressor.Compress(Options, _folders));
        });
        CompressionResult result = Compressor.Compress(Options, _folders, progress);
        Assert.Contains("another run is writing", refused!.Message, StringComparison.Ordinal);
        using Bundle bundle = Bundle.Open(Output);
        Assert.Equal(result.Manifest.Generation, bundle.Manifest.Generation);
    }

    [Fact]
    public void A_failed_run_leaves_nothing_and_keeps_the_bundle_it_would_have_replaced()
    {
        string generation = Compressor.Compress(Options, _folders).Manifest.Generation;
        var progress = new Immediate(p =>
        {
            if (p is { Stage: CompressionStage.Fitting, Done: 2 })
                throw new InvalidOperationException("stop");
        });
        Assert.Throws<InvalidOperationException>(() => Compressor.Compress(Options with { Overwrite = true, Seed = 5 }, _folders, progress));
        Assert.Equal(["in", "out"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
        using Bundle bundle = Bundle.Open(Output);
        Assert.Equal(generation, bundle.Manifest.Generation);
    }

    /// <summary>Leaves what a process killed at that moment would have left: no code of the run comes after it.</summary>
    private void Kill(CompressionStage stage, int done)
    {
        var progress = new Immediate(p =>
        {
            if (p.Stage == stage && p.Done == done)
            {
                Copy(Unfinished, _folder["left"]);
                throw new InvalidOperationException("killed");
            }
        });
        Assert.Throws<InvalidOperationException>(() => Compressor.Compress(Options, _folders, progress));
        Directory.Move(_folder["left"], Unfinished);
    }

    private static void Copy(string source, string target)
    {
        Directory.CreateDirectory(target);
        // The lock's file is empty, and open in the running process.
        foreach (string file in Directory.EnumerateFiles(source).Where(f => Path.GetFileName(f) != "lock"))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
    }
}
