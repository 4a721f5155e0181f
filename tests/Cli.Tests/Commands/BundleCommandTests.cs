using System.Text.Json;
using Eigengate.Cli.Tests.Support;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.Cli.Tests.Commands;

/// <summary>Commands that read a bundle: inspect, project, export, report.</summary>
public sealed class BundleCommandTests(SmallBundle small) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Inspect_describes_a_bundle_as_its_manifest_does()
    {
        CommandRun run = (await CommandRun.OfAsync("inspect", small.Bundle, "--json")).Succeeded();
        using Bundle bundle = Bundle.Open(small.Bundle);
        Assert.Equal(bundle.Manifest.Generation, run.Json.GetProperty("generation").GetString());
        Assert.Equal(10, run.Json.GetProperty("adapters").GetInt32());
        Assert.Equal([6, 5], run.Json.GetProperty("rank").EnumerateArray().Select(r => r.GetInt32()));
        Assert.Equal(bundle.Manifest.Adapters.Average(a => a.RelSqError), run.Json.GetProperty("mean_rel_sq_error").GetDouble(), 1e-12);
        Assert.Equal([5, 5], run.Json.GetProperty("clusters").EnumerateArray().Select(c => c.GetProperty("adapters").GetInt32()));
    }

    [Fact]
    public async Task Inspect_shows_an_adapters_spectrum()
    {
        CommandRun run = (await CommandRun.OfAsync("inspect", small.AdapterFolders[0], "--json")).Succeeded();
        JsonElement module = run.Json.GetProperty("modules")[0];
        PeftAdapter adapter = PeftAdapter.Open(small.AdapterFolders[0]);
        double[] expected = [.. Dense.SingularValues(Dense.Product(adapter.ReadDelta(module.GetProperty("path").GetString()!))).Take(3)];
        double[] shown = [.. module.GetProperty("singular_values").EnumerateArray().Select(v => v.GetDouble())];
        Assert.Equal(expected.Length, shown.Length);
        Assert.All(expected.Zip(shown), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * expected[0]));
    }

    [Fact]
    public Task Inspect_refuses_what_is_neither() => CommandRun.RefusedAsync(["inspect", _folder.Path], _folder.Path, "neither a bundle nor");

    [Theory]
    [InlineData("1", "compressed")]
    [InlineData("0", "exact")]
    public async Task Project_gives_its_verdict_by_the_threshold(string threshold, string verdict)
    {
        CommandRun run = (await CommandRun.OfAsync("project", "--bundle", small.Bundle, "--adapter", small.AdapterFolders[3], "--threshold", threshold, "--json")).Succeeded();
        JsonElement placed = run.Json.GetProperty("adapters")[0];
        using Bundle bundle = Bundle.Open(small.Bundle);
        Assert.Equal("adapter-003", placed.GetProperty("id").GetString());
        Assert.Equal(verdict, placed.GetProperty("verdict").GetString());
        // A member placed again lands where it was fitted.
        Assert.Equal(bundle.Adapter("adapter-003").Cluster, placed.GetProperty("cluster").GetInt32());
        Assert.Equal(bundle.Adapter("adapter-003").RelSqError, placed.GetProperty("rel_sq_error").GetDouble(), 1e-5);
    }

    [Fact]
    public Task Project_names_an_impossible_threshold() =>
        CommandRun.RefusedAsync(["project", "--bundle", small.Bundle, "--adapter", small.Adapters, "--threshold", "1.5"], "--threshold", "1.5");

    [Fact]
    public async Task Exported_adapters_are_what_the_bundle_serves()
    {
        string output = _folder["peft"];
        (await CommandRun.OfAsync("export", "--to", "peft", "--bundle", small.Bundle, "--out", output, "--adapter", "adapter-002", "adapter-007")).Succeeded();
        IReadOnlyList<string> written = PeftAdapter.FindFolders(output);
        Assert.Equal(["adapter-002", "adapter-007"], written.Select(Path.GetFileName).Order());
        using Bundle bundle = Bundle.Open(small.Bundle);
        foreach (PeftAdapter adapter in written.Select(folder => PeftAdapter.Open(folder)))
        {
            Assert.Equal(3, adapter.Modules.Count);
            Assert.All(adapter.Modules.Keys, module => Assert.InRange(ServedError.Of(bundle, adapter, module), 0, 1e-10));
        }
    }

    [Fact]
    public async Task Export_names_an_unknown_adapter_and_writes_nothing()
    {
        await CommandRun.RefusedAsync(["export", "--bundle", small.Bundle, "--out", _folder["peft"], "--adapter", "nobody"], "nobody");
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("project", "--bundle", "{0}", "--adapter", "{0}")]
    [InlineData("export", "--bundle", "{0}", "--out", "{0}/peft")]
    [InlineData("report", "{0}")]
    public Task A_folder_without_a_bundle_is_named(params string[] arguments) =>
        CommandRun.RefusedAsync([.. arguments.Select(a => a.Replace("{0}", _folder.Path, StringComparison.Ordinal))], _folder.Path);
}
