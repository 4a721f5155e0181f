namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>
/// What the CUDA kernels need of a device: memory, launches in order on one stream, matrix products and recorded graphs.
/// A GPU is one; the tests run the same kernels on the CPU with another. One thread at a time.
/// </summary>
internal unsafe interface IKernelDevice : IDisposable
{
    int Multiprocessors { get; }

    /// <summary>Makes the device current for the calling thread.</summary>
    void Enter();

    /// <summary>A kernel by its name in the sources.</summary>
    nint Function(string name);

    /// <summary>Starts a kernel behind everything that was started before.</summary>
    /// <param name="function">From <see cref="Function"/>.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="threads">Threads of a block.</param>
    /// <param name="arguments">One each, in the low bytes: pointers, int, or the bits of a float.</param>
    /// <param name="structure">Integers passed by value as the last argument, when there is one.</param>
    void Launch(nint function, (int X, int Y, int Z) grid, int threads, ReadOnlySpan<long> arguments, ReadOnlySpan<int> structure = default);

    void Multiply(in MatrixProduct product);

    void* Allocate(long bytes);

    void Free(void* address);

    /// <summary>Memory of the host that <see cref="Upload"/> reads while the caller goes on.</summary>
    void* AllocateHost(long bytes);

    void FreeHost(void* address);

    /// <summary>Copies from host memory behind everything that was started before; leave the source alone until <see cref="Wait"/>.</summary>
    void Upload(void* target, void* source, long bytes);

    /// <summary>Until everything that was started is done.</summary>
    void Wait();

    /// <summary>Notes what the action launches instead of running it.</summary>
    /// <exception cref="CudaException">Something in it cannot be recorded.</exception>
    IKernelGraph Record(Action action);
}

/// <summary>Recorded launches that start together; their arguments are those of the recording.</summary>
internal interface IKernelGraph : IDisposable
{
    void Launch();
}

/// <summary>
/// C = op(A) · B + β C in the column-major view that BLAS has: C [M, N], A [M, K] or transposed [K, M], B [K, N]. Elements
/// are the engine's, sums are float32.
/// </summary>
/// <param name="Wide">C is float32 whatever the other elements are.</param>
internal readonly unsafe record struct MatrixProduct(
    bool TransposeA, int M, int N, int K, nint A, int LeadA, nint B, int LeadB, nint C, int LeadC, float Beta, bool Wide);
