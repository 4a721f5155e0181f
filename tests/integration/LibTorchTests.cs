using System.Globalization;

namespace Eigengate.Integration.Tests;

/// <summary>The program with a libtorch that lies elsewhere.</summary>
public sealed class LibTorchTests : IDisposable
{
    private readonly ForeignLibTorch _foreign = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _foreign.Dispose();

    [Fact]
    public async Task A_libtorch_in_another_folder_serves_the_demo()
    {
        string library = _foreign.CopyLibTorch();
        await using var server = EigengateProcess.StartFrom(_foreign.Program(), "serve", "--libtorch", _foreign.Folder, "--urls", "http://127.0.0.1:0");
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
        var (code, output) = await EigengateProcess.RunFromAsync(_foreign.Program(), Cancel, "serve", "--libtorch", _foreign.Folder);
        Assert.Equal(1, code);
        Assert.Contains($"'{_foreign.Folder}' holds no libtorch: libtorch_cpu.so was expected", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cpu_build_of_libtorch_is_refused_for_cuda()
    {
        Directory.CreateDirectory(Path.Combine(_foreign.Folder, "lib"));
        File.WriteAllText(Path.Combine(_foreign.Folder, "lib", "libtorch_cpu.so"), "");
        var (code, output) = await EigengateProcess.RunFromAsync(_foreign.Program(), Cancel, "serve", "--device", "cuda", "--libtorch", _foreign.Folder);
        Assert.Equal(1, code);
        Assert.Contains("has no libtorch_cuda.so: it is a CPU build", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_with_its_own_libtorch_says_that_it_cannot_be_exchanged()
    {
        var (code, output) = await EigengateProcess.RunAsync(Cancel, "serve", "--libtorch", _foreign.Folder);
        Assert.Equal(1, code);
        Assert.Contains("-p:TorchDevice=none", output, StringComparison.Ordinal);
    }
}
