namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>Matrix products by cuBLAS, with float32 sums and a workspace of its own, as recording into graphs needs.</summary>
internal sealed unsafe class CudaBlas : IDisposable
{
    public const long WorkspaceBytes = 32 << 20;
    private const int Float32 = 0, BFloat16 = 14, SumInFloat32 = 68, DefaultAlgorithm = -1;
    private readonly NativeFunctions _library = CudaLibraries.Blas();
    private readonly nint _handle;
    private readonly int _element;
    private readonly delegate* unmanaged<nint, int, int, int, int, int, void*, nint, int, int, nint, int, int, void*, nint, int, int, int, int, int> _multiply;

    public CudaBlas(bool bfloat16, void* workspace)
    {
        _element = bfloat16 ? BFloat16 : Float32;
        Workspace = workspace;
        _multiply = (delegate* unmanaged<nint, int, int, int, int, int, void*, nint, int, int, nint, int, int, void*, nint, int, int, int, int, int>)_library["cublasGemmEx"];
        nint handle;
        Check(((delegate* unmanaged<nint*, int>)_library["cublasCreate_v2"])(&handle), "cublasCreate");
        _handle = handle;
    }

    public void* Workspace { get; }

    /// <summary>Setting a stream takes the workspace away, so it is set again.</summary>
    public void Use(nint stream)
    {
        Check(((delegate* unmanaged<nint, nint, int>)_library["cublasSetStream_v2"])(_handle, stream), "cublasSetStream");
        Check(((delegate* unmanaged<nint, void*, nint, int>)_library["cublasSetWorkspace_v2"])(_handle, Workspace, (nint)WorkspaceBytes), "cublasSetWorkspace");
    }

    public void Multiply(in MatrixProduct p)
    {
        float alpha = 1, beta = p.Beta;
        Check(
            _multiply(
                _handle, p.TransposeA ? 1 : 0, 0, p.M, p.N, p.K, &alpha, p.A, _element, p.LeadA, p.B, _element, p.LeadB, &beta,
                p.C, p.Wide ? Float32 : _element, p.LeadC, SumInFloat32, DefaultAlgorithm),
            $"cublasGemmEx of {p.M} x {p.N} x {p.K}");
    }

    public void Dispose() => _ = ((delegate* unmanaged<nint, int>)_library["cublasDestroy_v2"])(_handle);

    private static void Check(int status, string call)
    {
        if (status != 0)
            throw new CudaException($"{call}: cuBLAS status {status}");
    }
}
