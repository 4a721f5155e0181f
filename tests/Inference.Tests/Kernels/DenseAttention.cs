using Eigengate.Inference.Kernels.Cpu;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;

namespace Eigengate.Inference.Tests.Kernels;

/// <summary>Attention of one query in float64, key by key, over a bfloat16 cache.</summary>
internal static unsafe class DenseAttention
{
    /// <summary>Σ softmax(q·k/√d) v over the positions [begin, end), for one query head.</summary>
    internal static double[] Expected(ushort* query, KvBlockTable table, KvLayer cache, ModelConfig config, int head, int begin, int end)
    {
        int width = config.HeadDim, column = head / (config.Heads / config.KvHeads) * width;
        double[] scores = [.. Enumerable.Range(begin, end - begin).Select(p => Dot(query, At(cache.KeyAddress, p), width) / Math.Sqrt(width))];
        double[] weights = [.. scores.Select(s => Math.Exp(s - scores.Max()))];
        double[] mixed = new double[width];
        for (int p = begin; p < end; p++)
        {
            for (int i = 0; i < width; i++)
                mixed[i] += weights[p - begin] / weights.Sum() * Wide(At(cache.ValueAddress, p)[i]);
        }

        return mixed;

        ushort* At(void* memory, int position) => (ushort*)memory + (table.Slot(position) * config.KvWidth) + column;
    }

    /// <summary>Normally distributed bfloat16 numbers.</summary>
    internal static void Fill(void* memory, int count, int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < count; i++)
            Bf16.Write((Bf16*)memory + i, (float)TestModel.Normal(random));
    }

    internal static float Wide(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);

    private static double Dot(ushort* a, ushort* b, int width)
    {
        double sum = 0;
        for (int i = 0; i < width; i++)
            sum += (double)Wide(a[i]) * Wide(b[i]);
        return sum;
    }
}
