using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using Eigengate.Bench;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.LlamaCpp;

/// <summary>What the machine can do at best: nothing is faster than reading every weight once, or multiplying at torch's best rate.</summary>
/// <param name="BytesPerSecond">Read from memory by all threads together.</param>
/// <param name="FlopsPerSecond">Of a large bfloat16 product.</param>
internal sealed record Floor(double BytesPerSecond, double FlopsPerSecond)
{
    private const int Size = 2048;

    public static Floor Measure(int threads) => new(Bandwidth(threads), GemmRate(threads));

    /// <summary>Least seconds for a step of a number of rows, each with logits when <paramref name="allLogits"/> and one with otherwise.</summary>
    public double StepSeconds(ModelShape shape, int rows, bool allLogits = true)
    {
        double flops = 2.0 * (((shape.Multiplied - shape.HeadWeights) * rows) + (shape.HeadWeights * (allLogits ? rows : 1)));
        return Math.Max(2.0 * shape.Multiplied / BytesPerSecond, flops / FlopsPerSecond);
    }

    /// <summary>The best of several passes over memory that no cache holds.</summary>
    private static unsafe double Bandwidth(int threads)
    {
        const nuint Bytes = 256 << 20;
        byte** buffers = stackalloc byte*[threads];
        for (int t = 0; t < threads; t++)
        {
            buffers[t] = (byte*)NativeMemory.AlignedAlloc(Bytes, 2 << 20);
            NativeMemory.Fill(buffers[t], Bytes, 1);
        }

        nint all = (nint)buffers;
        double best = 0;
        for (int pass = 0; pass < 8; pass++)
        {
            long start = Stopwatch.GetTimestamp();
            Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, t => Read(((byte**)all)[t], Bytes));
            best = Math.Max(best, threads * (double)Bytes / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        for (int t = 0; t < threads; t++)
            NativeMemory.AlignedFree(buffers[t]);
        return best;
    }

    private static unsafe void Read(byte* buffer, nuint bytes)
    {
        Vector<long> a = default, b = default, c = default, d = default;
        int width = Vector<byte>.Count;
        for (nuint i = 0; i < bytes; i += (nuint)(4 * width))
        {
            a ^= *(Vector<long>*)(buffer + i);
            b ^= *(Vector<long>*)(buffer + i + width);
            c ^= *(Vector<long>*)(buffer + i + (2 * width));
            d ^= *(Vector<long>*)(buffer + i + (3 * width));
        }

        GC.KeepAlive(a ^ b ^ c ^ d);
    }

    private static double GemmRate(int threads)
    {
        using var scope = torch.NewDisposeScope();
        torch.set_num_threads(threads);
        Tensor x = torch.rand([Size, Size], dtype: ScalarType.BFloat16), w = torch.rand([Size, Size], dtype: ScalarType.BFloat16);
        double best = 0;
        for (int pass = 0; pass < 8; pass++)
        {
            long start = Stopwatch.GetTimestamp();
            using Tensor y = torch.nn.functional.linear(x, w);
            best = Math.Max(best, 2.0 * Size * Size * Size / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }
}
