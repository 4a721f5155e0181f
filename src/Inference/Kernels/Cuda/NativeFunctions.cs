using System.Runtime.InteropServices;

namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>A native library opened at run time, because only a GPU host has it.</summary>
internal sealed class NativeFunctions
{
    private readonly nint _library;
    private readonly string _name;

    private NativeFunctions(nint library, string name)
    {
        _library = library;
        _name = name;
    }

    /// <summary>Opens the first candidate that there is: file names for the system to find, or paths.</summary>
    /// <exception cref="NotSupportedException">There is none.</exception>
    public static NativeFunctions Open(string what, IEnumerable<string> candidates)
    {
        string[] names = [.. candidates];
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
                return new NativeFunctions(library, name);
        }

        throw new NotSupportedException($"device 'cuda' needs {what}, which was not found; looked for {string.Join(", ", names)}");
    }

    /// <exception cref="NotSupportedException">The library has no such function.</exception>
    public nint this[string function] => NativeLibrary.TryGetExport(_library, function, out nint address)
        ? address
        : throw new NotSupportedException($"device 'cuda': '{_name}' has no function {function}");
}
