using System.Globalization;
using System.Text.Json;
using Eigengate.Cli.Tests.Support;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.Cli.Tests.Commands;

/// <summary>Commands that write a new bundle from a published one: recompress, project --out, compose.</summary>
public sealed class RevisionCommandTests(SmallBundle small) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Next => _folder["next"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Recompress_takes_newcomers_in_and_says_who_came_and_went()
    {
        // Twelve of the same two families, of which one of the first ten has gone.
        string[] folders = AdapterFolders.Write(_folder["in"], 12);
        Directory.Delete(folders[4], recursive: true);
        CommandRun run = (await CommandRun.OfAsync("recompress", "--bundle", small.Bundle, "--adapters", _folder["in"], "--out", Next)).Succeeded();
        using Bundle old = Bundle.Open(small.Bundle), next = Bundle.Open(Next);
        Assert.Equal(folders.Where((_, i) => i != 4).Select(Path.GetFileName), next.Manifest.Adapters.Select(a => a.Id));
        Assert.NotEqual(old.Manifest.Generation, next.Manifest.Generation);
        Assert.Equal([6, 5], next.Manifest.Rank);
        Assert.Equal(2, next.Manifest.Clusters);
        Assert.Contains("adapter-004", Row(run, "dropped"), StringComparison.Ordinal);
        Assert.Contains("adapter-010", Row(run, "new or changed"), StringComparison.Ordinal);
        double[] errors = [.. Row(run, "error of these adapters").Split(' ').Where(w => double.TryParse(w, CultureInfo.InvariantCulture, out _)).Select(w => double.Parse(w, CultureInfo.InvariantCulture))];
        Assert.True(errors[1] <= errors[0], $"{errors[0]} % before, {errors[1]} % after");
        Assert.Equal(next.Manifest.Adapters.Average(a => a.RelSqError) * 100, errors[1], 0.01);
    }

    [Fact]
    public async Task Recompress_never_writes_over_the_published_bundle()
    {
        string before = File.ReadAllText(Path.Combine(small.Bundle, BundleManifest.FileName));
        await CommandRun.RefusedAsync(
            ["recompress", "--bundle", small.Bundle, "--adapters", small.Adapters, "--out", small.Bundle, "--overwrite"], "never changed");
        Assert.Equal(before, File.ReadAllText(Path.Combine(small.Bundle, BundleManifest.FileName)));
    }

    [Fact]
    public async Task Recompress_names_an_adapter_that_it_leaves_out()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 5);
        File.WriteAllText(Path.Combine(folders[2], "adapter_config.json"), "[]");
        CommandRun run = await CommandRun.OfAsync("recompress", "--bundle", small.Bundle, "--adapters", _folder["in"], "--out", Next);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("left out: adapter-002", run.Error, StringComparison.Ordinal);
        await CommandRun.RefusedAsync(["recompress", "--bundle", small.Bundle, "--adapters", _folder["in"], "--out", _folder["strict"], "--strict"], "adapter-002");
        Assert.False(Directory.Exists(_folder["strict"]));
    }

    [Fact]
    public async Task Project_adds_newcomers_within_the_threshold_and_keeps_the_files_byte_for_byte()
    {
        AdapterFolders.Write(_folder["in"], 12);
        CommandRun run = (await CommandRun.OfAsync(
            "project", "--bundle", small.Bundle, "--adapter", _folder["in"], "--threshold", "1", "--out", Next, "--json")).Succeeded();
        Assert.Equal(["adapter-010", "adapter-011"], run.Json.GetProperty("added").EnumerateArray().Select(a => a.GetString()));
        using Bundle old = Bundle.Open(small.Bundle), next = Bundle.Open(Next);
        Assert.Equal(run.Json.GetProperty("generation").GetString(), next.Manifest.Generation);
        Assert.Equal(12, next.Manifest.Adapters.Length);
        foreach (string file in old.Manifest.Bases.Select(b => b.File).Concat(old.Manifest.Cores.Select(c => c.File)))
            Assert.Equal(File.ReadAllBytes(Path.Combine(small.Bundle, file)), File.ReadAllBytes(Path.Combine(Next, file)));
        foreach (JsonElement placed in run.Json.GetProperty("adapters").EnumerateArray().Where(p => p.GetProperty("id").GetString() is "adapter-010" or "adapter-011"))
        {
            BundleAdapter added = next.Adapter(placed.GetProperty("id").GetString()!);
            Assert.Equal(placed.GetProperty("cluster").GetInt32(), added.Cluster);
            Assert.Equal(placed.GetProperty("rel_sq_error").GetDouble(), added.RelSqError, 1e-6);
        }
    }

    [Fact]
    public async Task Project_writes_no_bundle_when_nobody_is_within_the_threshold()
    {
        AdapterFolders.Write(_folder["in"], 11);
        CommandRun run = (await CommandRun.OfAsync("project", "--bundle", small.Bundle, "--adapter", _folder["in"], "--threshold", "0", "--out", Next)).Succeeded();
        Assert.Contains("no bundle was written", run.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Next));
    }

    [Fact]
    public async Task Compose_writes_the_weighted_sum_of_what_is_served()
    {
        using Bundle old = Bundle.Open(small.Bundle);
        string[] parts = [.. old.Manifest.Adapters.Where(a => a.Cluster == old.Manifest.Adapters[0].Cluster).Take(2).Select(a => a.Id)];
        (await CommandRun.OfAsync(
            "compose", "--bundle", small.Bundle, "--id", "mixed", "--mix", $"{parts[0]}=0.75", $"{parts[1]}=-0.5", "--out", Next, "--to-peft", _folder["peft"])).Succeeded();
        using Bundle next = Bundle.Open(Next);
        Assert.Equal(11, next.Manifest.Adapters.Length);
        PeftAdapter lora = PeftAdapter.Open(_folder["peft"]);
        var (first, second, mixed) = (old.ReadCores(parts[0]), old.ReadCores(parts[1]), next.ReadCores("mixed"));
        foreach (string module in mixed.Keys)
        {
            float[] expected = [.. first[module].Values.Zip(second[module].Values, (a, b) => (0.75f * a) - (0.5f * b))];
            Assert.All(expected.Zip(mixed[module].Values), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * expected.Max(Math.Abs)));
            Assert.True(lora.Modules.ContainsKey(module));
        }
    }

    [Fact]
    public async Task Compose_refuses_a_mix_across_clusters_and_writes_nothing()
    {
        using Bundle old = Bundle.Open(small.Bundle);
        string other = old.Manifest.Adapters.First(a => a.Cluster != old.Manifest.Adapters[0].Cluster).Id;
        await CommandRun.RefusedAsync(
            ["compose", "--bundle", small.Bundle, "--id", "mixed", "--mix", $"{old.Manifest.Adapters[0].Id}=1", $"{other}=1", "--out", Next], "one cluster", other);
        await CommandRun.RefusedAsync(["compose", "--bundle", small.Bundle, "--id", "mixed", "--mix", "nobody=1", "--out", Next], "nobody");
        await CommandRun.RefusedAsync(["compose", "--bundle", small.Bundle, "--id", "mixed", "--mix", "adapter-000", "--out", Next], "--mix", "adapter-000");
        Assert.False(Directory.Exists(Next));
    }

    private static string Row(CommandRun run, string name) => run.Output.Split('\n').First(line => line.Contains(name, StringComparison.Ordinal));
}
