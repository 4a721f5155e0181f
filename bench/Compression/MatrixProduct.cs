using System.Diagnostics;
using static TorchSharp.torch;

namespace Eigengate.Bench.Compression;

/// <summary>The yardstick G: one float32 4096 x 4096 x 4096 product in this process.</summary>
internal static class MatrixProduct
{
    private const int Size = 4096;

    /// <summary>Seconds, median of five after a warm-up.</summary>
    internal static double Seconds()
    {
        using var scope = NewDisposeScope();
        Tensor a = randn(Size, Size), b = randn(Size, Size);
        double[] times = [.. Enumerable.Range(0, 6).Select(_ => Time(() => a.mm(b).Dispose()))];
        return times[1..].Order().ElementAt(2);
    }

    internal static double Time(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
