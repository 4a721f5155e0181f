using Eigengate.Inference.Kernels;
using Eigengate.Inference.Kernels.Cpu;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;
using static Eigengate.Inference.Tests.Kernels.DenseAttention;
using static TorchSharp.torch;

namespace Eigengate.Inference.Tests.Kernels;

/// <summary>Attention of single rows against float64 loops over the same bfloat16 numbers. Tolerance 1 % of the values' spread, which is 1.</summary>
public unsafe class RowAttentionTests
{
    [Theory]
    [InlineData(16, 4, 2, 5, 0, int.MaxValue)]
    [InlineData(64, 9, 3, 1, 80, int.MaxValue)]
    [InlineData(64, 2, 1, 3, 15, int.MaxValue)]
    [InlineData(36, 2, 2, 7, 3, int.MaxValue)]
    [InlineData(80, 7, 1, 2, 64, int.MaxValue)]
    [InlineData(128, 2, 1, 4, 200, 64)]
    [InlineData(24, 3, 3, 15, 31, 20)]
    [InlineData(6, 1, 1, 3, 70, 1)]
    public void Rows_attend_to_their_past_within_the_window(int headDim, int heads, int kvHeads, int rows, int before, int window)
    {
        using var model = new TestModel(heads: heads, kvHeads: kvHeads, headDim: headDim);
        ModelConfig config = model.Config;
        foreach (int blockSize in (int[])[16, 5, 64])
        {
            const int Blocks = 64;
            var pool = new KvBlockPool(Blocks, blockSize);
            var table = new KvBlockTable(pool, PrefixRoot.BaseModel);
            new KvBlockTable(pool, PrefixRoot.BaseModel).TryReserve(17);
            Assert.True(table.TryReserve(before + rows));
            using var cache = new KvLayer(config, Blocks, blockSize, ScalarType.BFloat16, CPU);
            using var qkv = new Activation(rows + 1, config.QueryWidth + (2 * config.KvWidth), ScalarType.BFloat16, CPU);
            using Activation context = new(rows + 1, config.QueryWidth, ScalarType.BFloat16, CPU), byHead = new(rows + 1, config.QueryWidth, ScalarType.BFloat16, CPU);
            Fill(cache.KeyAddress, Blocks * blockSize * config.KvWidth, 1);
            Fill(cache.ValueAddress, Blocks * blockSize * config.KvWidth, 2);
            Fill(qkv.Address, (rows + 1) * qkv.Width, 3);

            var sequence = new SequenceRows(table, 1, rows, before + rows);
            using var attention = new RowAttention<Bf16>(config, before + rows);
            attention.Attend(sequence, qkv, cache, window, context, 0, kvHeads);
            for (int head = 0; head < kvHeads; head++)
                attention.Attend(sequence, qkv, cache, window, byHead, head, head + 1);
            int width = (rows + 1) * config.QueryWidth;
            Assert.Equal(new ReadOnlySpan<ushort>(context.Address, width), new ReadOnlySpan<ushort>(byHead.Address, width));
            CheckRows(config, table, cache, qkv, context, rows, before, window);
        }
    }

    private static void CheckRows(ModelConfig config, KvBlockTable table, KvLayer cache, Activation qkv, Activation context, int rows, int before, int window)
    {
        for (int row = 0; row < rows; row++)
        {
            for (int head = 0; head < config.Heads; head++)
            {
                ushort* query = (ushort*)qkv.Address + ((row + 1) * qkv.Width) + (head * config.HeadDim);
                ushort* actual = (ushort*)context.Address + ((row + 1) * context.Width) + (head * config.HeadDim);
                double[] expected = Expected(query, table, cache, config, head, Math.Max(0, before + row + 1 - window), before + row + 1);
                for (int i = 0; i < config.HeadDim; i++)
                    Assert.Equal(expected[i], Wide(actual[i]), 0.01 * (1 + Math.Abs(expected[i])));
            }
        }
    }
}
