using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>Compiles the kernels with NVRTC for one architecture; results are kept in the user's cache folder.</summary>
internal static unsafe class KernelCompiler
{
    /// <summary>In the order in which they form one source.</summary>
    private static readonly string[] Parts =
        ["prelude.cuh", "rms_norm.cu", "rotate_and_cache.cu", "elementwise.cu", "mix_cores.cu", "attend.cu"];

    /// <summary>All kernels in one source.</summary>
    public static string Source => string.Join("\n", Parts.Select(Read));

    /// <param name="architecture">Compute capability without the dot, such as 90.</param>
    /// <param name="bfloat16">The elements; float32 otherwise.</param>
    /// <exception cref="CudaException">The compiler refuses the source; the message has its log.</exception>
    /// <exception cref="NotSupportedException">NVRTC is not there.</exception>
    public static byte[] Compile(int architecture, bool bfloat16)
    {
        NativeFunctions nvrtc = CudaLibraries.Compiler();
        string[] options = [$"--gpu-architecture=sm_{architecture}", "--std=c++17", .. bfloat16 ? ["--define-macro=ELEMENT_BF16"] : Array.Empty<string>()];
        int major, minor;
        Check(nvrtc, ((delegate* unmanaged<int*, int*, int>)nvrtc["nvrtcVersion"])(&major, &minor), "nvrtcVersion");
        string cached = CachePath(string.Join("\n", [Source, .. options, $"{major}.{minor}"]));
        if (File.Exists(cached))
            return File.ReadAllBytes(cached);
        byte[] code = Compile(nvrtc, options);
        Save(cached, code);
        return code;
    }

    private static byte[] Compile(NativeFunctions nvrtc, string[] options)
    {
        nint program;
        byte[] source = Encoding.UTF8.GetBytes(Source + "\0");
        byte[][] texts = [.. options.Select(option => Encoding.UTF8.GetBytes(option + "\0"))];
        GCHandle[] pins = [.. texts.Select(text => GCHandle.Alloc(text, GCHandleType.Pinned))];
        try
        {
            fixed (byte* text = source, name = "eigengate.cu\0"u8)
                Check(nvrtc, ((delegate* unmanaged<nint*, byte*, byte*, int, nint, nint, int>)nvrtc["nvrtcCreateProgram"])(&program, text, name, 0, 0, 0), "nvrtcCreateProgram");
            nint[] addresses = [.. pins.Select(pin => pin.AddrOfPinnedObject())];
            int status;
            fixed (nint* list = addresses)
                status = ((delegate* unmanaged<nint, int, nint*, int>)nvrtc["nvrtcCompileProgram"])(program, addresses.Length, list);
            if (status != 0)
                throw new CudaException($"NVRTC refuses the kernels ({Describe(nvrtc, status)}) with {string.Join(' ', options)}:\n{Encoding.UTF8.GetString(Take(nvrtc, program, "ProgramLog"))}");
            return Take(nvrtc, program, "CUBIN");
        }
        finally
        {
            foreach (GCHandle pin in pins)
                pin.Free();
        }
    }

    private static byte[] Take(NativeFunctions nvrtc, nint program, string what)
    {
        nint size;
        Check(nvrtc, ((delegate* unmanaged<nint, nint*, int>)nvrtc[$"nvrtcGet{what}Size"])(program, &size), $"nvrtcGet{what}Size");
        byte[] result = new byte[size];
        fixed (byte* target = result)
            Check(nvrtc, ((delegate* unmanaged<nint, byte*, int>)nvrtc[$"nvrtcGet{what}"])(program, target), $"nvrtcGet{what}");
        return result;
    }

    private static string Describe(NativeFunctions nvrtc, int status) =>
        Marshal.PtrToStringUTF8(((delegate* unmanaged<int, nint>)nvrtc["nvrtcGetErrorString"])(status)) ?? $"status {status}";

    private static void Check(NativeFunctions nvrtc, int status, string call)
    {
        if (status != 0)
            throw new CudaException($"{call}: {Describe(nvrtc, status)}");
    }

    private static string CachePath(string content)
    {
        string root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache
            ? cache
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return Path.Combine(root, "eigengate", "kernels", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content))) + ".cubin");
    }

    /// <summary>A cache that cannot be written only costs the next start a second.</summary>
    private static void Save(string path, byte[] code)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            string temporary = $"{path}.{Guid.NewGuid():N}";
            File.WriteAllBytes(temporary, code);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }

    private static string Read(string part)
    {
        using Stream stream = typeof(KernelCompiler).Assembly.GetManifestResourceStream($"cuda/{part}")
            ?? throw new InvalidOperationException($"the kernel source '{part}' is not in the assembly");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
