namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>Where the CUDA libraries are: beside PyTorch in the packages nvidia/*, in a toolkit, or known to the system.</summary>
internal static class CudaLibraries
{
    public static NativeFunctions Driver() => NativeFunctions.Open("the NVIDIA driver", ["libcuda.so.1"]);

    public static NativeFunctions Compiler() => NativeFunctions.Open("the CUDA run-time compiler NVRTC", Candidates("libnvrtc.so"));

    /// <summary>A CUDA build of libtorch has loaded it already, so its name finds that one.</summary>
    public static NativeFunctions Blas() => NativeFunctions.Open("cuBLAS", Candidates("libcublas.so"));

    /// <summary>Newest first among names for the system; then the files beside libtorch; then those of a toolkit.</summary>
    internal static IEnumerable<string> Candidates(string name) =>
        new[] { $"{name}.13", $"{name}.12" }.Concat(Beside(name)).Concat(Files("/usr/local/cuda/lib64", name)).Append(name);

    private static IEnumerable<string> Beside(string name)
    {
        if (LibTorch.Directory is not { } libraries)
            return [];
        string packages = Path.GetFullPath(Path.Combine(libraries, "..", "..", "nvidia"));
        IEnumerable<string> folders = Directory.Exists(packages) ? Directory.GetDirectories(packages).Select(folder => Path.Combine(folder, "lib")) : [];
        return folders.Prepend(libraries).SelectMany(folder => Files(folder, name));
    }

    /// <summary>PyTorch's own copies have a hash in their names: libnvrtc-1a2b3c4d.so.12.</summary>
    private static IEnumerable<string> Files(string folder, string name)
    {
        if (!Directory.Exists(folder))
            return [];
        string stem = Path.GetFileNameWithoutExtension(name);
        return Directory.GetFiles(folder, $"{stem}*.so*")
            .Where(path => !Path.GetFileName(path).Contains("builtins", StringComparison.Ordinal) && !Path.GetFileName(path).Contains("alt", StringComparison.Ordinal)
                && Path.GetFileName(path)[stem.Length] is ('.' or '-'))
            .Order(StringComparer.Ordinal);
    }
}
