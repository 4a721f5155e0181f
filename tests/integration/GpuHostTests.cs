using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace Eigengate.Integration.Tests;

/// <summary>bench/gpu/run.sh as on a GPU host, but on the CPU: a PyTorch that python3 finds, programs without a libtorch, no dotnet command.</summary>
public sealed class GpuHostTests : IDisposable
{
    private readonly ForeignLibTorch _foreign = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _foreign.Dispose();

    [Fact]
    public async Task Every_step_passes_with_the_libtorch_that_python_finds()
    {
        Assert.SkipWhen(PathOf("python3") is null, "python3 is not installed");
        _foreign.CopyLibTorch();
        await File.WriteAllTextAsync(Path.Combine(_foreign.Folder, "torch", "__init__.py"), "__version__ = '2.10.0'\nclass version: cuda = None\n", Cancel);

        var (exitCode, output, results) = await RunAsync(("PYTHONPATH", _foreign.Folder));

        Assert.True(exitCode == 0, output);
        Assert.Equal(["pytorch", "smoke", "check", "serve", "speed"], Steps(output, "PASS"));
        Assert.DoesNotContain("FAIL", output, StringComparison.Ordinal);
        Assert.Contains($"libtorch: {Path.Combine(_foreign.Folder, "torch")}\n", output, StringComparison.Ordinal);
        JsonNode report = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(results, "speed.json"), Cancel))!;
        Assert.Equal(("tiny", "cpu"), ((string)report["shape"]!, (string)report["device"]!));
        Assert.Contains("| 1024 uncompressed | 64 |", await File.ReadAllTextAsync(Path.Combine(results, "speed.md"), Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_without_pytorch_fails_at_the_first_step_and_says_so()
    {
        Directory.CreateDirectory(Path.Combine(_foreign.Folder, "torch"));
        await File.WriteAllTextAsync(Path.Combine(_foreign.Folder, "torch", "__init__.py"), "raise ImportError('no torch here')\n", Cancel);

        var (exitCode, output, _) = await RunAsync(("PYTHONPATH", _foreign.Folder));

        Assert.Equal(1, exitCode);
        Assert.Equal(["pytorch"], Steps(output, "FAIL"));
        Assert.Empty(Steps(output, "PASS"));
        Assert.Contains("no torch here", output, StringComparison.Ordinal);
    }

    /// <summary>Runs the script beside the programs and the demo, as the archive holds them.</summary>
    private async Task<(int ExitCode, string Output, string Results)> RunAsync(params (string Name, string Value)[] environment)
    {
        string program = _foreign.Program(), script = Path.Combine(program, "run.sh"), results = Path.Combine(_foreign.Folder, "results");
        File.Copy(Path.Combine(Repository.Root, "bench", "gpu", "run.sh"), script);
        Directory.CreateSymbolicLink(Path.Combine(program, "base"), Repository.DemoBase);
        Directory.CreateSymbolicLink(Path.Combine(program, "bundle"), Repository.DemoBundle);
        var info = new ProcessStartInfo("bash", [script, "--device", "cpu", "--tokens", "4", "--out", results])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _foreign.Folder,
        };
        // The published programs bring their runtime; these use the one that the tests run on.
        info.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        foreach (var (name, value) in environment)
            info.Environment[name] = value;
        using Process run = Process.Start(info)!;
        Task<string> errors = run.StandardError.ReadToEndAsync(Cancel);
        string output = await run.StandardOutput.ReadToEndAsync(Cancel) + await errors;
        await run.WaitForExitAsync(Cancel);
        return (run.ExitCode, output, results);
    }

    /// <summary>Steps of the script with this outcome, in order; a step's own lines have more words.</summary>
    private static IEnumerable<string> Steps(string output, string outcome) =>
        from line in output.Split('\n')
        let words = line.Split("  ")
        where words.Length == 2 && words[0] == outcome && (words[1].Split(' ') is [_] or [_, "(exit", _])
        select words[1].Split(' ')[0];

    private static string? PathOf(string command) =>
        Environment.GetEnvironmentVariable("PATH")?.Split(':').Select(folder => Path.Combine(folder, command)).FirstOrDefault(File.Exists);
}
