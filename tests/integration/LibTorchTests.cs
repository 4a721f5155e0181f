using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Eigengate.Integration.Tests;

/// <summary>
/// The program with a libtorch that lies elsewhere, laid out as a PyTorch package. A build without its own libtorch is made
/// from this one.
/// </summary>
public sealed class LibTorchTests : IDisposable
{
    private static readonly string[] Native = ["libc10.so", "libtorch_cpu.so", "libtorch.so", "libtorch_global_deps.so"];
    private readonly string _folder = Directory.CreateTempSubdirectory("eigengate-libtorch-").FullName;

    /// <summary>On the same file system as the program, so that it can be made of hard links.</summary>
    private readonly string _program = Path.Combine(AppContext.BaseDirectory, $"../without-libtorch-{Guid.NewGuid():N}");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static string OwnLibraries => Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native");

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        if (Directory.Exists(_program))
            Directory.Delete(_program, recursive: true);
    }

    [Fact]
    public async Task A_libtorch_in_another_folder_serves_the_demo()
    {
        string library = CopyLibTorch();
        await using var server = EigengateProcess.StartFrom(WithoutLibTorch(), "serve", "--libtorch", _folder, "--urls", "http://127.0.0.1:0");
        string gateway = await server.ValueOfAsync("gateway", Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(gateway) };
        await DemoQuestions.AssertAnsweredAsync(http, DemoQuestions.AdapterOfEachCluster()[0], Cancel);

        string[] mapped = [.. File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{server.Id}/maps"))
            .Where(line => line.EndsWith("/libtorch_cpu.so", StringComparison.Ordinal)).Select(line => line[line.IndexOf('/', StringComparison.Ordinal)..]).Distinct()];
        Assert.Equal([library], mapped);
    }

    [Fact]
    public async Task A_folder_without_libtorch_is_refused_by_name()
    {
        var (code, output) = await EigengateProcess.RunFromAsync(WithoutLibTorch(), Cancel, "serve", "--libtorch", _folder);
        Assert.Equal(1, code);
        Assert.Contains($"'{_folder}' holds no libtorch: libtorch_cpu.so was expected", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cpu_build_of_libtorch_is_refused_for_cuda()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "lib"));
        File.WriteAllText(Path.Combine(_folder, "lib", "libtorch_cpu.so"), "");
        var (code, output) = await EigengateProcess.RunFromAsync(WithoutLibTorch(), Cancel, "serve", "--device", "cuda", "--libtorch", _folder);
        Assert.Equal(1, code);
        Assert.Contains("has no libtorch_cuda.so: it is a CPU build", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_with_its_own_libtorch_says_that_it_cannot_be_exchanged()
    {
        var (code, output) = await EigengateProcess.RunAsync(Cancel, "serve", "--libtorch", _folder);
        Assert.Equal(1, code);
        Assert.Contains("-p:TorchDevice=none", output, StringComparison.Ordinal);
    }

    private string CopyLibTorch()
    {
        string target = Path.Combine(_folder, "torch", "lib");
        Directory.CreateDirectory(target);
        foreach (string name in Directory.GetFiles(OwnLibraries).Where(IsLibTorch).Select(path => Path.GetFileName(path)))
            File.Copy(Path.Combine(OwnLibraries, name), Path.Combine(target, name));
        return Path.Combine(target, "libtorch_cpu.so");
    }

    /// <summary>This program as a build with -p:TorchDevice=none leaves it.</summary>
    private string WithoutLibTorch()
    {
        using (Process copy = Process.Start("cp", ["-rl", AppContext.BaseDirectory, _program]))
            copy.WaitForExit();
        foreach (string library in Directory.GetFiles(Path.Combine(_program, "runtimes", "linux-x64", "native")).Where(IsLibTorch))
            File.Delete(library);
        string path = Path.Combine(_program, "eigengate.deps.json");
        JsonNode dependencies = JsonNode.Parse(File.ReadAllText(path))!;
        JsonObject packages = dependencies["targets"]!.AsObject().Single().Value!.AsObject();
        Assert.True(packages.Single(package => package.Key.StartsWith("libtorch-cpu", StringComparison.Ordinal)).Value!.AsObject().Remove("runtimeTargets"));
        File.Delete(path);
        File.WriteAllText(path, dependencies.ToJsonString());
        return _program;
    }

    private static bool IsLibTorch(string path) =>
        Native.Contains(Path.GetFileName(path)) || Path.GetFileName(path).StartsWith("libgomp", StringComparison.Ordinal);
}
