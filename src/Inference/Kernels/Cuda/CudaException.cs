namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>A call of the CUDA driver, NVRTC or cuBLAS failed; the message names it and what it answered.</summary>
internal sealed class CudaException(string message) : Exception(message);
