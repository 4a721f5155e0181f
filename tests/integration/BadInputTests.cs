namespace Eigengate.Integration.Tests;

/// <summary>What the command line says to wrong input: an exit code, a message that names the place, nothing half-written.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("eigengate-bad-input-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Serving_a_missing_model_folder_names_it()
    {
        string missing = Path.Combine(_folder, "no-model");
        await AssertRefusedAsync(["serve", "--model", missing, "--urls", "http://127.0.0.1:0"], missing);
    }

    [Fact]
    public async Task Serving_a_truncated_weights_file_names_it_and_says_truncated()
    {
        string model = Copy(Repository.DemoBase, "truncated");
        string weights = Path.Combine(model, "model.safetensors");
        using (FileStream file = File.OpenWrite(weights))
            file.SetLength(file.Length / 2);
        await AssertRefusedAsync(["serve", "--model", model, "--urls", "http://127.0.0.1:0"], "model.safetensors", "truncated");
    }

    [Fact]
    public async Task Serving_a_bundle_of_another_base_names_the_module_and_both_shapes()
    {
        string model = Copy(Repository.DemoBase, "other-base");
        string config = Path.Combine(model, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"hidden_size\": ", "\"hidden_size\": 1", StringComparison.Ordinal));
        await AssertRefusedAsync(["serve", "--model", model, "--urls", "http://127.0.0.1:0"], "shape");
    }

    [Fact]
    public async Task Compressing_an_empty_folder_says_so_and_writes_nothing()
    {
        string bundle = Path.Combine(_folder, "bundle");
        string empty = Directory.CreateDirectory(Path.Combine(_folder, "empty")).FullName;
        await AssertRefusedAsync(["compress", "--adapters", empty, "--out", bundle], "no adapter", empty);
        Assert.False(Directory.Exists(bundle));
    }

    [Fact]
    public async Task Compressing_skips_a_broken_adapter_by_name_and_the_exit_code_says_so()
    {
        string adapters = Directory.CreateDirectory(Path.Combine(_folder, "adapters")).FullName;
        foreach (string adapter in Directory.GetDirectories(Repository.DemoAdapters).Order().Take(3))
            Copy(adapter, Path.Combine("adapters", Path.GetFileName(adapter)));
        string broken = Directory.GetDirectories(adapters)[0];
        File.WriteAllText(Path.Combine(broken, "adapter_config.json"), "{ not json");

        string bundle = Path.Combine(_folder, "bundle");
        (int exitCode, string output) = await EigengateProcess.RunAsync(Cancel, "compress", "--adapters", adapters, "--out", bundle, "--rank", "8");

        Assert.Equal(2, exitCode);
        Assert.Contains(Path.GetFileName(broken), output, StringComparison.Ordinal);
        Assert.Contains("adapter_config.json", output, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(bundle, "manifest.json")));
    }

    [Fact]
    public async Task Compressing_over_a_folder_that_is_no_bundle_leaves_it_alone()
    {
        string occupied = Directory.CreateDirectory(Path.Combine(_folder, "thesis")).FullName;
        File.WriteAllText(Path.Combine(occupied, "chapter1.txt"), "precious");
        await AssertRefusedAsync(["compress", "--adapters", Repository.DemoAdapters, "--out", occupied], occupied);
        Assert.Equal(["chapter1.txt"], Directory.GetFileSystemEntries(occupied).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_node_without_its_index_names_the_address()
    {
        await AssertRefusedAsync(
            ["node", "--model", Repository.DemoBase, "--bundle", Repository.DemoBundle, "--redis", "127.0.0.1:1", "--urls", "http://127.0.0.1:0"], "127.0.0.1:1");
    }

    [Fact]
    public async Task A_node_for_a_cluster_that_the_bundle_lacks_says_which_there_are()
    {
        await AssertRefusedAsync(
            ["node", "--model", Repository.DemoBase, "--bundle", Repository.DemoBundle, "--cluster", "99", "--redis", "127.0.0.1:1", "--urls", "http://127.0.0.1:0"], "99", "cluster");
    }

    [Fact]
    public async Task A_mistyped_option_is_refused_with_the_help_at_hand()
    {
        await AssertRefusedAsync(["serve", "--modle", "x"], "--modle");
    }

    private static async Task AssertRefusedAsync(string[] arguments, params string[] fragments)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        (int exitCode, string output) = await EigengateProcess.RunAsync(limit.Token, arguments);
        Assert.Equal(1, exitCode);
        Assert.All(fragments, fragment => Assert.Contains(fragment, output, StringComparison.OrdinalIgnoreCase));
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    private string Copy(string source, string name)
    {
        string target = Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
        foreach (string file in Directory.GetFiles(source))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        return target;
    }
}
