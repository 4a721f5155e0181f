using System.Runtime.InteropServices;

namespace Eigengate.Inference.Kernels;

/// <summary>
/// Asks Linux to back large buffers with 2 MiB pages. A step touches the KV cache and the cores in thousands of places;
/// with 4 KiB pages many of them miss the translation cache.
/// </summary>
internal static unsafe class HugePages
{
    private const nint PageBytes = 4096;
    private const nint HugePageBytes = 2 << 20;
    private const int AdviceHugePage = 14;

    /// <summary>Call it before the memory is first written. A hint only: where it is not supported, nothing changes.</summary>
    public static void Advise(void* address, long bytes)
    {
        nint first = ((nint)address + PageBytes - 1) & -PageBytes, end = ((nint)address + (nint)bytes) & -PageBytes;
        if (OperatingSystem.IsLinux() && end - first >= HugePageBytes)
            _ = MemoryAdvise(first, end - first, AdviceHugePage);
    }

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MemoryAdvise(nint address, nint length, int advice);
}
