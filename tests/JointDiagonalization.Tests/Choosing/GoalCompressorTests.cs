using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Choosing;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests.Choosing;

public sealed class GoalCompressorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0.2)]
    [InlineData(0.03)]
    public void The_chosen_setting_meets_the_target_and_nothing_smaller_that_was_compared_does(double target)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 12, families: 3, noise: 0.3);
        GoalResult done = GoalCompressor.Compress(Options(), new CompressionGoal { TargetError = target }, folders);
        Assert.True(done.Met);
        Assert.InRange(done.Result.Report.MeanRelSqError, 0, target);
        ConsideredSetting chosen = done.Choices[^1].Chosen;
        Assert.True(chosen.Fitted);
        // All three modules were in the sample; the run tries more starts and rounds than the fit on the sample did.
        Assert.InRange(done.Result.Report.MeanRelSqError, 0.5 * chosen.Error, 1.01 * chosen.Error);
        foreach (ConsideredSetting other in done.Choices[^1].Considered.Where(s => s.Bytes < chosen.Bytes))
        {
            CompressorOptions smaller = Options() with
            {
                Output = _folder["smaller"],
                Overwrite = true,
                RankU = other.Setting.RankU,
                RankV = other.Setting.RankV,
                Clusters = other.Setting.Clusters,
            };
            Assert.True(Compressor.Compress(smaller, folders).Report.MeanRelSqError > target, $"{other.Setting} would have done");
        }
    }

    [Fact]
    public void A_target_missed_because_the_sample_was_easier_is_met_by_a_corrected_choice()
    {
        string[] folders = WithHardModulesBetweenSampledOnes(adapters: 10);
        List<Choice> told = [];
        GoalResult done = GoalCompressor.Compress(Options(), new CompressionGoal { TargetError = 0.12, Clusters = 1, Residual = 0 }, folders, told.Add);
        Assert.Equal(2, done.Choices.Count);
        Assert.Equal(done.Choices, told);
        Assert.True(done.Choices[0].Chosen.Error <= 0.12, "the first choice was expected to do");
        Assert.True(done.Choices[1].Chosen.Bytes > done.Choices[0].Chosen.Bytes);
        Assert.True(done.Met);
        Assert.InRange(done.Result.Report.MeanRelSqError, 0, 0.12);
        // Only the second run's bundle is there, and nothing of the first.
        Assert.Equal([done.Choices[1].Chosen.Setting.RankU, done.Choices[1].Chosen.Setting.RankV], done.Result.Manifest.Rank);
        Assert.Equal(["in", "out"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData(20_000)]
    [InlineData(60_000)]
    public void A_budget_is_kept_and_used(long budget)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 12, families: 3, noise: 0.3);
        GoalResult done = GoalCompressor.Compress(Options(), new CompressionGoal { BudgetBytes = budget }, folders);
        Assert.True(done.Met);
        Assert.InRange(done.Result.Report.BytesOut, budget / 2, budget);
        Assert.Equal(Directory.EnumerateFiles(_folder["out"], "*.safetensors").Sum(f => new FileInfo(f).Length), done.Result.Report.BytesOut);
        Assert.All(done.Choices[^1].Considered.Where(s => s.Bytes <= budget), s => Assert.True(s.Error >= done.Choices[^1].Chosen.Error));
    }

    [Fact]
    public void A_larger_budget_never_ends_with_a_larger_error()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 9, families: 3, noise: 0.3);
        double[] errors =
        [
            .. new long[] { 20_000, 40_000, 80_000 }.Select(budget =>
                GoalCompressor.Compress(Options() with { Overwrite = true }, new CompressionGoal { BudgetBytes = budget }, folders).Result.Report.MeanRelSqError),
        ];
        Assert.Equal(errors.OrderDescending(), errors);
    }

    [Fact]
    public void Clusters_are_chosen_where_families_are()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 24, families: 4, noise: 0.02);
        GoalResult done = GoalCompressor.Compress(Options(), new CompressionGoal { Rank = (4, 4) }, folders);
        Assert.Equal(4, done.Result.Manifest.Clusters);
        Assert.Equal([4, 4], done.Result.Manifest.Rank);
        Assert.True(done.Met);
    }

    [Fact]
    public void A_residual_as_wide_as_the_adapters_reaches_any_target()
    {
        // Adapters that share nothing: any basis is as large as they are.
        string[] folders = AdapterFolders.Write(_folder["in"], 6, families: 6, noise: 2);
        GoalResult done = GoalCompressor.Compress(Options(), new CompressionGoal { TargetError = 1e-4, Rank = (4, 4) }, folders);
        Assert.True(done.Met);
        Assert.InRange(done.Choices[^1].Chosen.Setting.Residual, 2, 8);
        Assert.Equal(done.Choices[^1].Chosen.Setting.Residual, done.Result.Manifest.Residual);
        // Adapters whose remainder has fewer directions store fewer.
        Assert.InRange(done.Result.Report.BytesOut, done.Choices[^1].Chosen.Bytes / 2, done.Choices[^1].Chosen.Bytes);
    }

    [Fact]
    public void What_is_stated_is_kept()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 12, families: 3, noise: 0.3);
        GoalResult rank = GoalCompressor.Compress(Options(), new CompressionGoal { TargetError = 0.3, Rank = (6, 5) }, folders);
        Assert.Equal([6, 5], rank.Result.Manifest.Rank);
        GoalResult clusters = GoalCompressor.Compress(Options() with { Overwrite = true }, new CompressionGoal { TargetError = 0.1, Clusters = 2 }, folders);
        Assert.Equal(2, clusters.Result.Manifest.Clusters);
        Assert.All(clusters.Choices[0].Considered, s => Assert.Equal(2, s.Setting.Clusters));
    }

    [Fact]
    public void A_target_out_of_reach_gives_the_best_there_is_and_says_so()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 12, families: 3, noise: 0.5);
        GoalResult done = GoalCompressor.Compress(Options(), new CompressionGoal { TargetError = 0.001, Rank = (4, 4), Residual = 0 }, folders);
        Assert.False(done.Met);
        Assert.False(done.Choices[^1].Reachable);
        Assert.Contains("No setting considered stays within", done.Choices[^1].Reasons[0], StringComparison.Ordinal);
        Assert.True(File.Exists(_folder["out", BundleManifest.FileName]));
    }

    [Fact]
    public void Impossible_goals_are_refused_and_write_nothing()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4);
        Assert.Contains("needs", Refusal(new CompressionGoal { BudgetBytes = 100 }), StringComparison.Ordinal);
        Assert.Contains("between 0", Refusal(new CompressionGoal { TargetError = 1.5 }), StringComparison.Ordinal);
        Assert.Contains("not both", Refusal(new CompressionGoal { TargetError = 0.1, BudgetBytes = 100 }), StringComparison.Ordinal);
        Assert.Contains("for a given rank", Refusal(new CompressionGoal()), StringComparison.Ordinal);
        Assert.Contains("another method", Assert.Throws<ArgumentException>(() => GoalCompressor.Compress(
            Options() with { Method = CompressionMethod.Diagonal }, new CompressionGoal { TargetError = 0.1 }, folders)).Message, StringComparison.Ordinal);
        Assert.Equal(["in"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName));

        string Refusal(CompressionGoal goal) => Assert.Throws<ArgumentException>(() => GoalCompressor.Compress(Options(), goal, folders)).Message;
    }

    /// <summary>24 layers, of which every other one is read for the choice; those that are not hold more noise.</summary>
    private string[] WithHardModulesBetweenSampledOnes(int adapters)
    {
        const int layers = 24;
        BundleModule[] modules = [.. Enumerable.Range(0, layers).Select(m => new BundleModule(AdapterFolders.PathOfLayer(m), 24, 24))];
        HashSet<string> sampled = [.. ModuleSample.Choose(modules, 12).Select(m => m.Module.Path)];
        return AdapterFolders.WriteLayers(_folder["in"], adapters, layers, layer => !sampled.Contains(modules[layer].Path));
    }

    private CompressorOptions Options() => new() { Output = _folder["out"] };
}
