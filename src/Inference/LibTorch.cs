using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Eigengate.Inference;

/// <summary>
/// Which libtorch the process computes with: the one built into the program, or that of an existing PyTorch. Decide before
/// anything else uses torch; the first libtorch that is loaded stays.
/// </summary>
public static class LibTorch
{
    private const string CpuLibrary = "libtorch_cpu.so";
    private const string CudaLibrary = "libtorch_cuda.so";

    /// <summary>In the order of their dependencies; those with CUDA are there in CUDA builds only.</summary>
    private static readonly string[] Libraries =
        ["libtorch_global_deps.so", "libc10.so", CpuLibrary, "libc10_cuda.so", CudaLibrary, "libtorch.so"];

    /// <summary>Folder of the existing libtorch that is used; null for the program's own.</summary>
    public static string? Directory { get; private set; }

    /// <summary>
    /// Takes the program's own libtorch, or in a build that has none the named one, or else that of the `python3` on the
    /// path. Without any, the first use of torch fails.
    /// </summary>
    /// <param name="directory">A folder with libtorch_cpu.so, a PyTorch package folder, or a site-packages folder; null to choose.</param>
    /// <param name="cuda">A build with CUDA is needed.</param>
    /// <exception cref="DirectoryNotFoundException">The folder holds no libtorch.</exception>
    /// <exception cref="NotSupportedException">There is no choice in this build, or what was found has no CUDA or does not fit this program.</exception>
    public static void Choose(string? directory, bool cuda)
    {
        if (Own is { } own && (directory is not null || (cuda && !File.Exists(Path.Combine(own, CudaLibrary)))))
        {
            // TorchSharp loads it in any case, and two copies in one process would register every operator twice.
            throw new NotSupportedException(
                $"this program was built with a libtorch of its own ('{own}'), which cannot be exchanged: " +
                "an existing PyTorch and --libtorch DIR need a build with -p:TorchDevice=none, CUDA that or one with -p:TorchDevice=cuda");
        }

        if (Own is not null)
            return;
        string? package = directory ?? FindPyTorch();
        if (package is not null)
            Load(LibraryFolder(package), cuda);
        else if (cuda)
            throw new NotSupportedException("device 'cuda' needs a libtorch with CUDA: this program has none, and python3 finds no package 'torch'; name one with --libtorch DIR");
    }

    /// <summary>Folder of the PyTorch package that `python3` would import; null when there is none. Python itself does not load it.</summary>
    public static string? FindPyTorch()
    {
        const string Question = "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')";
        try
        {
            using Process python = Process.Start(new ProcessStartInfo("python3", ["-c", Question]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            string answer = python.StandardOutput.ReadToEnd().Trim();
            python.WaitForExit();
            return python.ExitCode == 0 && answer.Length > 0 ? answer : null;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    /// <summary>Folder of the libraries inside a PyTorch package, a site-packages folder, or the folder itself.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no libtorch in it.</exception>
    public static string LibraryFolder(string directory)
    {
        string[] places = [directory, Path.Combine(directory, "lib"), Path.Combine(directory, "torch", "lib")];
        return places.Select(Path.GetFullPath).FirstOrDefault(place => File.Exists(Path.Combine(place, CpuLibrary)))
            ?? throw new DirectoryNotFoundException($"'{directory}' holds no libtorch: {CpuLibrary} was expected in it, in its folder lib or in its folder torch/lib");
    }

    /// <summary>Folder of the libtorch that the program was built with; null when there is none.</summary>
    private static string? Own { get; } =
        (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Append(AppContext.BaseDirectory)
        .FirstOrDefault(folder => File.Exists(Path.Combine(folder, CpuLibrary)));

    private static void Load(string folder, bool cuda)
    {
        if (cuda && !File.Exists(Path.Combine(folder, CudaLibrary)))
            throw new NotSupportedException($"device 'cuda' was asked for, but the libtorch in '{folder}' has no {CudaLibrary}: it is a CPU build");
        foreach (string library in Libraries.Select(name => Path.Combine(folder, name)).Where(File.Exists))
            Open(library);
        try
        {
            // Its dependencies are found by name among what is loaded now.
            NativeLibrary.Load("LibTorchSharp", typeof(torch).Assembly, searchPath: null);
        }
        catch (DllNotFoundException e)
        {
            throw new NotSupportedException($"the libtorch in '{folder}' does not fit this program (it is built for libtorch 2.10): {e.Message}", e);
        }

        Directory = folder;
    }

    private static void Open(string library)
    {
        try
        {
            NativeLibrary.Load(library);
        }
        catch (DllNotFoundException e)
        {
            throw new NotSupportedException($"'{library}' cannot be loaded: {e.Message}", e);
        }
    }
}
