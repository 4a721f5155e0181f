using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Eigengate.Inference.Kernels.Cuda;

namespace Eigengate.Inference.Tests.Kernels.Cuda;

/// <summary>
/// Runs the CUDA kernels' own sources on the CPU: a C++ compiler builds them with emulation.h, matrix products follow the
/// column-major convention of cuBLAS in plain loops, and a graph is the list of what was launched.
/// </summary>
internal sealed unsafe class EmulatedDevice(bool bfloat16, int multiprocessors = 4) : IKernelDevice
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<bool, nint> Libraries = [];
    private readonly delegate* unmanaged<byte*, int*, int, void**, int> _run =
        (delegate* unmanaged<byte*, int*, int, void**, int>)NativeLibrary.GetExport(Library(bfloat16), "run_kernel");

    private readonly List<byte[]> _names = [];
    private readonly HashSet<nint> _memory = [];
    private List<Action>? _recording;

    public int Multiprocessors => multiprocessors;

    /// <summary>Graphs whose memory was freed must not be started: the test would read what is there now.</summary>
    public int LiveGraphs { get; private set; }

    public static bool Available { get; } = Has("g++");

    public static bool Has(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));

    public void Enter()
    {
    }

    public nint Function(string name)
    {
        _names.Add(Encoding.ASCII.GetBytes(name + "\0"));
        return _names.Count;
    }

    public void Launch(nint function, (int X, int Y, int Z) grid, int threads, ReadOnlySpan<long> arguments, ReadOnlySpan<int> structure)
    {
        // Like CUDA, a recording keeps the values of the arguments.
        byte[] name = _names[(int)function - 1];
        long[] values = arguments.ToArray();
        int[] last = structure.ToArray();
        Do(() => Run(name, grid, threads, values, last));
    }

    public void Multiply(in MatrixProduct product)
    {
        MatrixProduct p = product;
        Do(() => Compute(p));
    }

    public void* Allocate(long bytes)
    {
        void* address = NativeMemory.AlignedAlloc((nuint)bytes, 64);
        new Span<byte>(address, (int)bytes).Fill(0xff);
        _memory.Add((nint)address);
        return address;
    }

    public void Free(void* address)
    {
        Assert.True(_memory.Remove((nint)address), "memory was freed twice, or is not the device's");
        NativeMemory.AlignedFree(address);
    }

    public void* AllocateHost(long bytes) => Allocate(bytes);

    public void FreeHost(void* address) => Free(address);

    public void Upload(void* target, void* source, long bytes)
    {
        Assert.Null(_recording);
        Buffer.MemoryCopy(source, target, bytes, bytes);
    }

    public void Wait() => Assert.Null(_recording);

    public IKernelGraph Record(Action action)
    {
        Assert.Null(_recording);
        List<Action> launches = _recording = [];
        try
        {
            action();
        }
        finally
        {
            _recording = null;
        }

        LiveGraphs++;
        return new Graph(this, launches);
    }

    public void Dispose() => Assert.Empty(_memory);

    private void Do(Action launch)
    {
        if (_recording is { } recording)
            recording.Add(launch);
        else
            launch();
    }

    private void Run(byte[] name, (int X, int Y, int Z) grid, int threads, long[] arguments, int[] structure)
    {
        void** addresses = stackalloc void*[arguments.Length + 1];
        int* size = stackalloc int[] { grid.X, grid.Y, grid.Z };
        fixed (byte* text = name)
        fixed (long* values = arguments)
        fixed (int* last = structure)
        {
            for (int i = 0; i < arguments.Length; i++)
                addresses[i] = values + i;
            addresses[arguments.Length] = last;
            lock (Gate)
                Assert.Equal(1, _run(text, size, threads, addresses));
        }
    }

    private void Compute(in MatrixProduct p)
    {
        Assert.True(p.LeadA >= (p.TransposeA ? p.K : p.M) && p.LeadB >= p.K && p.LeadC >= p.M, "a leading dimension is too small for cuBLAS");
        for (int column = 0; column < p.N; column++)
        {
            for (int row = 0; row < p.M; row++)
            {
                float sum = 0;
                for (int k = 0; k < p.K; k++)
                {
                    long a = p.TransposeA ? k + ((long)row * p.LeadA) : row + ((long)k * p.LeadA);
                    sum += Read(p.A, a) * Read(p.B, k + ((long)column * p.LeadB));
                }

                long c = row + ((long)column * p.LeadC);
                if (p.Wide)
                    ((float*)p.C)[c] = sum + (p.Beta == 0 ? 0 : p.Beta * ((float*)p.C)[c]);
                else
                    Write(p.C, c, sum + (p.Beta == 0 ? 0 : p.Beta * Read(p.C, c)));
            }
        }
    }

    private float Read(nint address, long index) =>
        bfloat16 ? BitConverter.UInt32BitsToSingle((uint)((ushort*)address)[index] << 16) : ((float*)address)[index];

    private void Write(nint address, long index, float value)
    {
        if (bfloat16)
            ((ushort*)address)[index] = Safetensors.FloatConversion.ToBFloat16(value);
        else
            ((float*)address)[index] = value;
    }

    private static nint Library(bool bfloat16)
    {
        lock (Gate)
        {
            if (!Libraries.TryGetValue(bfloat16, out nint library))
                Libraries[bfloat16] = library = NativeLibrary.Load(Build(bfloat16));
            return library;
        }
    }

    private static string Build(bool bfloat16)
    {
        string folder = Directory.CreateTempSubdirectory("eigengate-kernels-").FullName;
        string source = Path.Combine(folder, "kernels.cpp"), library = Path.Combine(folder, "kernels.so");
        string[] kernels = [.. Regex.Matches(KernelCompiler.Source, @"KERNEL (\w+)\(").Select(match => match.Groups[1].Value)];
        File.WriteAllText(source, $$"""
            #include "{{Header("emulation.h")}}"
            {{KernelCompiler.Source}}
            extern "C" int run_kernel(const char* name, const int* grid, int threads, void** arguments)
            {
            {{string.Concat(kernels.Select(kernel => $"if (!std::strcmp(name, \"{kernel}\")) {{ emulation::launch({kernel}, grid, threads, arguments); return 1; }}\n"))}}
                return 0;
            }
            """);
        Compile("g++", ["-std=c++17", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", .. Define(bfloat16), source, "-o", library]);
        return library;
    }

    public static string[] Define(bool bfloat16) => bfloat16 ? ["-DELEMENT_BF16"] : [];

    public static string Header(string name) => Path.Combine(AppContext.BaseDirectory, "Kernels", "Cuda", name);

    public static void Compile(string compiler, IEnumerable<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(compiler, arguments) { RedirectStandardError = true })!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
    }

    private sealed class Graph(EmulatedDevice device, List<Action> launches) : IKernelGraph
    {
        private bool _disposed;

        public void Launch()
        {
            Assert.False(_disposed, "a graph was started after its end");
            launches.ForEach(launch => launch());
        }

        public void Dispose()
        {
            Assert.False(_disposed);
            _disposed = true;
            device.LiveGraphs--;
        }
    }
}
