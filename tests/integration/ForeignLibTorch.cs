using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Eigengate.Integration.Tests;

/// <summary>A folder for a libtorch laid out as a PyTorch package, and the programs of this build without theirs, as -p:TorchDevice=none leaves them.</summary>
internal sealed class ForeignLibTorch : IDisposable
{
    private static readonly string[] Native = ["libc10.so", "libtorch_cpu.so", "libtorch.so", "libtorch_global_deps.so"];

    // On the same file system as this build, so that they can be made of hard links.
    private readonly string _program = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", $"without-libtorch-{Guid.NewGuid():N}"));

    public string Folder { get; } =
        Directory.CreateDirectory(Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", $"libtorch-{Guid.NewGuid():N}"))).FullName;

    private static string OwnLibraries => Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native");

    /// <summary>Fills <see cref="Folder"/> with the libtorch of this build; the path of its main library.</summary>
    public string CopyLibTorch()
    {
        string target = Path.Combine(Folder, "torch", "lib");
        Directory.CreateDirectory(target);
        Link([.. Directory.GetFiles(OwnLibraries).Where(IsLibTorch), target]);
        return Path.Combine(target, "libtorch_cpu.so");
    }

    /// <summary>Makes the folder of programs; its path.</summary>
    public string Program()
    {
        Link(AppContext.BaseDirectory, _program);
        foreach (string library in Directory.GetFiles(Path.Combine(_program, "runtimes", "linux-x64", "native")).Where(IsLibTorch))
            File.Delete(library);
        foreach (string name in (string[])["eigengate", "gpu-check"])
            ForgetLibTorch(Path.Combine(_program, $"{name}.deps.json"));
        return _program;
    }

    public void Dispose()
    {
        Directory.Delete(Folder, recursive: true);
        if (Directory.Exists(_program))
            Directory.Delete(_program, recursive: true);
    }

    private static void Link(params IEnumerable<string> paths)
    {
        using Process copy = Process.Start("cp", ["-rl", .. paths]);
        copy.WaitForExit();
        Assert.Equal(0, copy.ExitCode);
    }

    private static void ForgetLibTorch(string path)
    {
        JsonNode dependencies = JsonNode.Parse(File.ReadAllText(path))!;
        JsonObject packages = dependencies["targets"]!.AsObject().Single().Value!.AsObject();
        Assert.True(packages.Single(package => package.Key.StartsWith("libtorch-cpu", StringComparison.Ordinal)).Value!.AsObject().Remove("runtimeTargets"));
        File.Delete(path);
        File.WriteAllText(path, dependencies.ToJsonString());
    }

    private static bool IsLibTorch(string path) =>
        Native.Contains(Path.GetFileName(path)) || Path.GetFileName(path).StartsWith("libgomp", StringComparison.Ordinal);
}
