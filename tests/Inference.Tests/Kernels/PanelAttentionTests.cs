using Eigengate.Inference.Kernels;
using Eigengate.Inference.Kernels.Cpu;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;
using static Eigengate.Inference.Tests.Kernels.DenseAttention;
using static TorchSharp.torch;

namespace Eigengate.Inference.Tests.Kernels;

/// <summary>Attention of many rows against float64 loops over the same bfloat16 numbers. Tolerance 2 % of the values' spread, which is 1.</summary>
public unsafe class PanelAttentionTests
{
    [Theory]
    [InlineData(16, 4, 2, 16, 0, int.MaxValue)]
    [InlineData(64, 9, 3, 70, 0, int.MaxValue)]
    [InlineData(64, 2, 1, 37, 100, int.MaxValue)]
    [InlineData(36, 2, 2, 130, 3, int.MaxValue)]
    [InlineData(80, 3, 1, 65, 64, int.MaxValue)]
    [InlineData(128, 2, 1, 20, 200, 64)]
    [InlineData(64, 3, 3, 140, 31, 20)]
    [InlineData(6, 1, 1, 67, 70, 1)]
    public void Rows_attend_to_their_past_within_the_window(int headDim, int heads, int kvHeads, int rows, int before, int window)
    {
        using var model = new TestModel(heads: heads, kvHeads: kvHeads, headDim: headDim);
        ModelConfig config = model.Config;
        if (!PanelAttention.Fits(config))
            Assert.Skip("the processor has no AVX-512 BF16");
        var pool = new KvBlockPool(64, 16);
        var table = new KvBlockTable(pool, PrefixRoot.BaseModel);
        new KvBlockTable(pool, PrefixRoot.BaseModel).TryReserve(17);
        table.TryReserve(before + rows);
        using var cache = new KvLayer(config, 64, 16, ScalarType.BFloat16, CPU);
        using var qkv = new Activation(rows + 1, config.QueryWidth + (2 * config.KvWidth), ScalarType.BFloat16, CPU);
        using var context = new Activation(rows + 1, config.QueryWidth, ScalarType.BFloat16, CPU);
        Fill(cache.KeyAddress, 64 * 16 * config.KvWidth, 1);
        Fill(cache.ValueAddress, 64 * 16 * config.KvWidth, 2);
        Fill(qkv.Address, (rows + 1) * qkv.Width, 3);

        var sequence = new SequenceRows(table, 1, rows, before + rows);
        using var attention = new PanelAttention(config);
        for (int head = 0; head < kvHeads; head++)
            attention.Attend(sequence, qkv, cache, window, context, head);
        for (int row = 0; row < rows; row++)
        {
            for (int head = 0; head < heads; head++)
            {
                ushort* query = (ushort*)qkv.Address + ((row + 1) * qkv.Width) + (head * headDim);
                ushort* actual = (ushort*)context.Address + ((row + 1) * context.Width) + (head * headDim);
                double[] expected = Expected(query, table, cache, config, head, Math.Max(0, before + row + 1 - window), before + row + 1);
                for (int i = 0; i < headDim; i++)
                    Assert.Equal(expected[i], Wide(actual[i]), 0.02);
            }
        }
    }
}
