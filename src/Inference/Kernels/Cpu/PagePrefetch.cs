using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// Brings pages that come next into the second-level cache, a few whenever as many were used. An adapter's pages are read once a step
/// and lie anywhere: waiting for them is most of what an exact adapter costs.
/// </summary>
/// <param name="pool">First byte of the pool.</param>
/// <param name="pageBytes">Size of a page.</param>
/// <param name="pages">Numbers of the pages that come next.</param>
/// <param name="count">How many there are; 0 makes this do nothing.</param>
internal unsafe struct PagePrefetch(byte* pool, int pageBytes, int* pages, int count)
{
    private const int LineBytes = 64;
    private int _at;

    /// <summary>Fetches the next pages.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Fetch(int most)
    {
        if (!Sse.IsSupported)
            return;
        for (int end = Math.Min(_at + most, count); _at < end; _at++)
        {
            byte* page = pool + ((nint)pages[_at] * pageBytes);
            for (int i = 0; i < pageBytes; i += LineBytes)
                Sse.Prefetch1(page + i);
        }
    }
}
