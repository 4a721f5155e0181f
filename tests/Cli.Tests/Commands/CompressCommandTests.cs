using System.Text.Json;
using Eigengate.Cli.Tests.Support;
using Eigengate.Integration.Tests;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.Cli.Tests.Commands;

public sealed class CompressCommandTests(SmallBundle small) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Bundle => _folder["bundle"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_summary_states_what_the_report_states()
    {
        JsonElement report = ReadReport(small.Bundle);
        Assert.Contains("10 in 2 clusters, jd-full, rank 6x5", small.Compression.Output, StringComparison.Ordinal);
        Assert.Contains(Percent(report.GetProperty("mean_rel_sq_error"), 2), small.Compression.Output, StringComparison.Ordinal);
        Assert.Contains(Percent(report.GetProperty("parameters_saved"), 1), small.Compression.Output, StringComparison.Ordinal);
        Assert.Matches(@"Reading adapters 10 of 10, [\d.]+ adapters/s", small.Compression.Error);
    }

    [Fact]
    public async Task A_bad_adapter_is_named_and_the_exit_code_says_that_it_is_missing()
    {
        string broken = BreakOne();
        CommandRun run = await CommandRun.OfAsync("compress", "--adapters", _folder["in"], "--out", Bundle, "--rank", "4");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(broken, run.Error, StringComparison.Ordinal);
        Assert.Contains("adapter_config.json", run.Error, StringComparison.Ordinal);
        using Bundle bundle = JointDiagonalization.Bundles.Bundle.Open(Bundle);
        Assert.Equal(["adapter-000", "adapter-002", "adapter-003"], bundle.Manifest.Adapters.Select(a => a.Id));
    }

    [Fact]
    public async Task A_strict_run_refuses_one_bad_adapter_and_writes_nothing()
    {
        string broken = BreakOne();
        await CommandRun.RefusedAsync(["compress", "--adapters", _folder["in"], "--out", Bundle, "--strict"], broken, "adapter_config.json");
        Assert.Equal(["in"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_bundle_is_replaced_only_when_asked_to()
    {
        string[] arguments = ["compress", "--adapters", small.Adapters, "--out", Bundle, "--rank", "3", "--figure-modules", "0"];
        (await CommandRun.OfAsync(arguments)).Succeeded();
        await CommandRun.RefusedAsync([.. arguments, "--seed", "5"], Bundle, "exists");
        (await CommandRun.OfAsync([.. arguments, "--seed", "5", "--overwrite"])).Succeeded();
        using Bundle bundle = JointDiagonalization.Bundles.Bundle.Open(Bundle);
        Assert.Equal(5UL, bundle.Manifest.Seed);
    }

    [Theory]
    [InlineData("--rank", "0")]
    [InlineData("--rank", "8y4")]
    [InlineData("--clusters", "many")]
    [InlineData("--method", "magic")]
    [InlineData("--dtype", "int3")]
    public async Task A_bad_value_names_its_option(string option, string value)
    {
        await CommandRun.RefusedAsync(["compress", "--adapters", small.Adapters, "--out", Bundle, option, value], option, value);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Missing_options_are_all_named() => await CommandRun.RefusedAsync(["compress"], "--adapters", "--out");

    [Fact]
    public async Task Json_gives_progress_lines_on_standard_error_and_one_summary_on_standard_output()
    {
        CommandRun run = (await CommandRun.OfAsync("compress", "--adapters", small.Adapters, "--out", Bundle, "--rank", "4", "--clusters", "2", "--json")).Succeeded();
        JsonElement summary = run.Json, report = ReadReport(Bundle);
        foreach (string field in (string[])["mean_rel_sq_error", "parameters_saved", "bytes_in", "bytes_out", "clusters"])
            Assert.Equal(report.GetProperty(field).GetRawText(), summary.GetProperty(field).GetRawText());
        Assert.Equal(10, summary.GetProperty("adapters").GetInt32());
        Assert.Equal(0, summary.GetProperty("left_out").GetArrayLength());

        JsonElement[] events = [.. run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Equal(["reading", "clustering", "fitting", "surveying", "writing"], events.Select(e => e.GetProperty("stage").GetString()).Distinct());
        Assert.All(events, e => Assert.InRange(e.GetProperty("done").GetInt32(), 0, e.GetProperty("total").GetInt32()));
        JsonElement lastFit = events.Last(e => e.GetProperty("stage").GetString() == "fitting");
        Assert.Equal(AdapterFolders.Modules.Length, lastFit.GetProperty("done").GetInt32());
        Assert.Equal("modules", lastFit.GetProperty("unit").GetString());
        Assert.True(lastFit.GetProperty("per_second").GetDouble() > 0);
        Assert.Equal(0, lastFit.GetProperty("remaining_seconds").GetDouble());
    }

    [Fact]
    public async Task A_target_that_the_first_choice_missed_is_met_by_a_larger_one_and_both_are_told()
    {
        // Every other layer is read for the choice, the odd ones; the even ones are harder.
        AdapterFolders.WriteLayers(_folder["in"], count: 10, layers: 24, hard: layer => layer % 2 == 0);
        string[] arguments = ["compress", "--adapters", _folder["in"], "--out", Bundle, "--target-error", "0.12", "--clusters", "1", "--residual", "0", "--figure-modules", "0"];
        JsonElement summary = (await CommandRun.OfAsync([.. arguments, "--json"])).Succeeded().Json;
        JsonElement[] chosen = [.. summary.GetProperty("goal").GetProperty("choices").EnumerateArray().Select(c => c.GetProperty("chosen"))];
        Assert.Equal(2, chosen.Length);
        Assert.InRange(chosen[0].GetProperty("error").GetDouble(), 0, 0.12);
        Assert.True(chosen[1].GetProperty("bytes").GetInt64() > chosen[0].GetProperty("bytes").GetInt64());
        Assert.InRange(ReadReport(Bundle).GetProperty("mean_rel_sq_error").GetDouble(), 0, 0.12);

        CommandRun table = (await CommandRun.OfAsync([.. arguments, "--overwrite"])).Succeeded();
        Assert.Equal(3, table.Output.Split("is the smallest setting expected to stay within 12.00").Length);
        Assert.Contains("target 12.00 %: met with error", table.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_target_out_of_reach_exits_with_2_and_says_missed()
    {
        CommandRun run = await CommandRun.OfAsync(
            "compress", "--adapters", small.Adapters, "--out", Bundle, "--rank", "4", "--residual", "0", "--target-error", "0.0001", "--figure-modules", "0");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("MISSED with error", run.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(Bundle, BundleManifest.FileName)));
    }

    [Fact]
    public async Task An_interrupted_run_leaves_nothing_behind()
    {
        AdapterFolders.Write(_folder["in"], 4);
        // Sixty adapters of 32 modules keep it busy for many seconds.
        string large = _folder["large"];
        Adapters(large, count: 60, modules: 32);
        await using EigengateProcess process = EigengateProcess.Start("compress", "--adapters", large, "--out", Bundle, "--rank", "16", "--clusters", "4", "--json");
        await WaitForAsync(process, "\"stage\":\"fitting\"");
        process.Interrupt();
        Assert.Equal(130, await process.ExitAsync(TestContext.Current.CancellationToken));
        Assert.Equal(["in", "large"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
        Assert.DoesNotContain("   at ", process.Output, StringComparison.Ordinal);
        Assert.Equal("", process.StandardOutput);
    }

    private static void Adapters(string root, int count, int modules)
    {
        var random = new Random(1);
        for (int i = 0; i < count; i++)
        {
            PeftFiles.Write(
                Path.Combine(root, $"adapter-{i:D3}"),
                Enumerable.Range(0, modules).Select(m => KeyValuePair.Create($"model.layers.{m}.self_attn.q_proj", Synthetic.Random(random, 64, 64, 4))));
        }
    }

    private static async Task WaitForAsync(EigengateProcess process, string text)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        while (!process.Output.Contains(text, StringComparison.Ordinal))
            await Task.Delay(10, limit.Token);
    }

    private string BreakOne()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4);
        File.WriteAllText(Path.Combine(folders[1], "adapter_config.json"), "{ not json");
        return Path.GetFileName(folders[1]);
    }

    private static JsonElement ReadReport(string bundle) =>
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(bundle, CompressionReport.FileName))).RootElement;

    private static string Percent(JsonElement share, int digits) =>
        share.GetDouble().ToString($"P{digits}", System.Globalization.CultureInfo.InvariantCulture);
}
