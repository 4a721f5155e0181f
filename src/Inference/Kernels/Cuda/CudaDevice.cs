using System.Runtime.InteropServices;

namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>
/// A GPU through the driver API, NVRTC and cuBLAS, in torch's own context. Its stream is an ordinary one, which CUDA orders
/// with torch's operations on the legacy default stream both ways. Graphs are recorded on a second stream that does not
/// take part in that order, so other threads may go on using torch meanwhile.
/// </summary>
internal sealed unsafe class CudaDevice : IKernelDevice
{
    private const int MultiprocessorCount = 16, CapabilityMajor = 75, CapabilityMinor = 76;
    private const uint NonBlocking = 1;
    private readonly NativeFunctions _driver;
    private readonly CudaBlas _blas;
    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> _launch;
    private readonly delegate* unmanaged<nint, int> _setCurrent;
    private readonly delegate* unmanaged<nint, nint, int> _launchGraph;
    private readonly int _device;
    private readonly nint _context;
    private readonly nint _module;
    private readonly nint _main;
    private readonly nint _recorder;
    private nint _stream;

    /// <param name="ordinal">CUDA's number of the device.</param>
    /// <param name="bfloat16">Number type of the elements; float32 otherwise.</param>
    /// <exception cref="NotSupportedException">The driver, NVRTC or cuBLAS is missing.</exception>
    /// <exception cref="CudaException">A call fails.</exception>
    public CudaDevice(int ordinal, bool bfloat16)
    {
        _driver = CudaLibraries.Driver();
        _launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)_driver["cuLaunchKernel"];
        _setCurrent = (delegate* unmanaged<nint, int>)_driver["cuCtxSetCurrent"];
        _launchGraph = (delegate* unmanaged<nint, nint, int>)_driver["cuGraphLaunch"];
        Check(((delegate* unmanaged<uint, int>)_driver["cuInit"])(0), "cuInit");
        int device;
        Check(((delegate* unmanaged<int*, int, int>)_driver["cuDeviceGet"])(&device, ordinal), "cuDeviceGet");
        _device = device;
        nint context, module;
        Check(((delegate* unmanaged<nint*, int, int>)_driver["cuDevicePrimaryCtxRetain"])(&context, device), "cuDevicePrimaryCtxRetain");
        _context = context;
        Enter();
        Multiprocessors = Attribute(MultiprocessorCount);
        byte[] code = KernelCompiler.Compile((10 * Attribute(CapabilityMajor)) + Attribute(CapabilityMinor), bfloat16);
        fixed (byte* image = code)
            Check(((delegate* unmanaged<nint*, byte*, int>)_driver["cuModuleLoadData"])(&module, image), "cuModuleLoadData");
        _module = module;
        _main = _stream = CreateStream(0);
        _recorder = CreateStream(NonBlocking);
        _blas = new CudaBlas(bfloat16, Allocate(CudaBlas.WorkspaceBytes));
        _blas.Use(_stream);
    }

    public int Multiprocessors { get; }

    public void Enter() => Check(_setCurrent(_context), "cuCtxSetCurrent");

    public nint Function(string name)
    {
        nint function;
        byte[] text = System.Text.Encoding.ASCII.GetBytes(name + "\0");
        fixed (byte* start = text)
            Check(((delegate* unmanaged<nint*, nint, byte*, int>)_driver["cuModuleGetFunction"])(&function, _module, start), $"cuModuleGetFunction {name}");
        return function;
    }

    public void Launch(nint function, (int X, int Y, int Z) grid, int threads, ReadOnlySpan<long> arguments, ReadOnlySpan<int> structure)
    {
        void** addresses = stackalloc void*[arguments.Length + 1];
        fixed (long* values = arguments)
        fixed (int* last = structure)
        {
            for (int i = 0; i < arguments.Length; i++)
                addresses[i] = values + i;
            addresses[arguments.Length] = last;
            Check(_launch(function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)threads, 1, 1, 0, _stream, addresses, null), "cuLaunchKernel");
        }
    }

    public void Multiply(in MatrixProduct product) => _blas.Multiply(product);

    public void* Allocate(long bytes)
    {
        nint address;
        Check(((delegate* unmanaged<nint*, nint, int>)_driver["cuMemAlloc_v2"])(&address, (nint)bytes), $"cuMemAlloc of {bytes} bytes");
        return (void*)address;
    }

    public void Free(void* address) => Check(((delegate* unmanaged<nint, int>)_driver["cuMemFree_v2"])((nint)address), "cuMemFree");

    public void* AllocateHost(long bytes)
    {
        nint address;
        Check(((delegate* unmanaged<nint*, nint, uint, int>)_driver["cuMemHostAlloc"])(&address, (nint)bytes, 0), $"cuMemHostAlloc of {bytes} bytes");
        return (void*)address;
    }

    public void FreeHost(void* address) => Check(((delegate* unmanaged<nint, int>)_driver["cuMemFreeHost"])((nint)address), "cuMemFreeHost");

    public void Upload(void* target, void* source, long bytes) =>
        Check(((delegate* unmanaged<nint, nint, nint, nint, int>)_driver["cuMemcpyHtoDAsync_v2"])((nint)target, (nint)source, (nint)bytes, _stream), "cuMemcpyHtoDAsync");

    public void Wait() => Check(((delegate* unmanaged<nint, int>)_driver["cuStreamSynchronize"])(_main), "cuStreamSynchronize");

    public IKernelGraph Record(Action action)
    {
        const int OnlyThisThread = 1;
        Switch(_recorder);
        nint graph = 0;
        try
        {
            Check(((delegate* unmanaged<nint, int, int>)_driver["cuStreamBeginCapture_v2"])(_recorder, OnlyThisThread), "cuStreamBeginCapture");
            int ended;
            try
            {
                action();
            }
            finally
            {
                // Also after a failure: the stream must leave the recording state.
                ended = ((delegate* unmanaged<nint, nint*, int>)_driver["cuStreamEndCapture"])(_recorder, &graph);
            }

            Check(ended, "cuStreamEndCapture");
            nint executable;
            Check(((delegate* unmanaged<nint*, nint, ulong, int>)_driver["cuGraphInstantiateWithFlags"])(&executable, graph, 0), "cuGraphInstantiateWithFlags");
            return new Graph(this, executable);
        }
        finally
        {
            if (graph != 0)
                _ = ((delegate* unmanaged<nint, int>)_driver["cuGraphDestroy"])(graph);
            Switch(_main);
        }
    }

    /// <summary>Errors of a context that is broken already add nothing, so they are not looked at.</summary>
    public void Dispose()
    {
        _ = _setCurrent(_context);
        _blas.Dispose();
        _ = ((delegate* unmanaged<nint, int>)_driver["cuMemFree_v2"])((nint)_blas.Workspace);
        var destroy = (delegate* unmanaged<nint, int>)_driver["cuStreamDestroy_v2"];
        _ = destroy(_main);
        _ = destroy(_recorder);
        _ = ((delegate* unmanaged<nint, int>)_driver["cuModuleUnload"])(_module);
        _ = ((delegate* unmanaged<int, int>)_driver["cuDevicePrimaryCtxRelease_v2"])(_device);
    }

    private int Attribute(int which)
    {
        int value;
        Check(((delegate* unmanaged<int*, int, int, int>)_driver["cuDeviceGetAttribute"])(&value, which, _device), "cuDeviceGetAttribute");
        return value;
    }

    private nint CreateStream(uint flags)
    {
        nint stream;
        Check(((delegate* unmanaged<nint*, uint, int>)_driver["cuStreamCreate"])(&stream, flags), "cuStreamCreate");
        return stream;
    }

    private void Switch(nint stream)
    {
        _stream = stream;
        _blas.Use(stream);
    }

    private void Check(int status, string call)
    {
        if (status == 0)
            return;
        nint name;
        string reason = ((delegate* unmanaged<int, nint*, int>)_driver["cuGetErrorName"])(status, &name) == 0 ? Marshal.PtrToStringUTF8(name)! : $"status {status}";
        throw new CudaException($"{call}: {reason}");
    }

    private sealed class Graph(CudaDevice device, nint executable) : IKernelGraph
    {
        public void Launch() => device.Check(device._launchGraph(executable, device._stream), "cuGraphLaunch");

        public void Dispose() => _ = ((delegate* unmanaged<nint, int>)device._driver["cuGraphExecDestroy"])(executable);
    }
}
