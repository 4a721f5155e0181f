using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// Attention of many rows of one sequence by torch's blocked kernel. Many rows read the same keys, so gathering them
/// from their blocks once pays off, which it does not while decoding.
/// </summary>
internal static class PrefillAttention
{
    /// <summary>Fewer rows are faster one by one.</summary>
    public const int MinRows = 16;

    public static unsafe void Attend(in SequenceRows sequence, ModelConfig config, Activation qkv, KvLayer cache, Activation context)
    {
        using var scope = torch.NewDisposeScope();
        int share = config.Heads / config.KvHeads, rows = sequence.Rows;
        Tensor slots = Slots(sequence);
        Tensor query = qkv.Slice(sequence.FirstRow, rows, 0, config.QueryWidth)
            .unflatten(1, [config.KvHeads, share, config.HeadDim]).permute(1, 2, 0, 3);
        Tensor mixed = torch.nn.functional.scaled_dot_product_attention(
            query,
            Gather(cache.FlatKeys, slots, share),
            Gather(cache.FlatValues, slots, share),
            attn_mask: sequence.Context == rows ? null : Mask(sequence, query.dtype),
            is_casual: sequence.Context == rows);
        context.Slice(sequence.FirstRow, rows, 0, config.QueryWidth)
            .unflatten(1, [config.KvHeads, share, config.HeadDim]).copy_(mixed.permute(2, 0, 1, 3));
    }

    private static Tensor Slots(in SequenceRows sequence)
    {
        int[] slots = new int[sequence.Context];
        for (int position = 0; position < slots.Length; position++)
            slots[position] = sequence.Blocks.Slot(position);
        return TensorMemory.UploadIds(slots, CPU);
    }

    /// <summary>[KV heads, query heads per KV head, context, head dim]; the repeated heads share memory.</summary>
    private static Tensor Gather(Tensor flat, Tensor slots, int share) =>
        flat.index_select(0, slots).permute(1, 0, 2).unsqueeze(1).expand(-1, share, -1, -1);

    /// <summary>[rows, context]: 0 where a row may look, −∞ elsewhere.</summary>
    private static Tensor Mask(in SequenceRows sequence, ScalarType dtype)
    {
        Tensor future = torch.full([sequence.Rows, sequence.Context], float.NegativeInfinity, dtype: ScalarType.Float32);
        return future.triu_(sequence.Context - sequence.Rows + 1).to(dtype);
    }
}
