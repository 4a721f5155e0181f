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

    /// <summary>Attention of the query heads that share one KV head.</summary>
    /// <param name="window">Positions that a row attends to at most, itself included.</param>
    public static void Attend(in SequenceRows sequence, ModelConfig config, Activation qkv, KvLayer cache, int window, Activation context, int kvHead)
    {
        using var scope = torch.NewDisposeScope();
        int share = config.Heads / config.KvHeads, rows = sequence.Rows;
        int first = Math.Max(0, sequence.Context - rows + 1 - window), keys = sequence.Context - first;
        Tensor slots = Slots(sequence, first);
        int width = share * config.HeadDim, column = kvHead * width;
        Tensor query = qkv.Part(sequence.FirstRow, rows, column, width).unflatten(1, [1, share, config.HeadDim]).permute(1, 2, 0, 3);
        bool whole = keys == rows && window >= rows;
        Tensor mixed = torch.nn.functional.scaled_dot_product_attention(
            query,
            Gather(cache.FlatKeys.narrow(1, kvHead, 1), slots, share),
            Gather(cache.FlatValues.narrow(1, kvHead, 1), slots, share),
            attn_mask: whole ? null : Mask(rows, keys, window, query.dtype),
            is_casual: whole);
        context.Part(sequence.FirstRow, rows, column, width).unflatten(1, [1, share, config.HeadDim]).copy_(mixed.permute(2, 0, 1, 3));
    }

    /// <summary>KV slots of the positions from the first on.</summary>
    private static Tensor Slots(in SequenceRows sequence, int first)
    {
        int[] slots = new int[sequence.Context - first];
        for (int i = 0; i < slots.Length; i++)
            slots[i] = sequence.Blocks.Slot(first + i);
        return TensorMemory.UploadIds(slots, CPU);
    }

    /// <summary>[1, query heads per KV head, context, head dim]; the repeated heads share memory.</summary>
    private static Tensor Gather(Tensor flat, Tensor slots, int share) =>
        flat.index_select(0, slots).permute(1, 0, 2).unsqueeze(1).expand(-1, share, -1, -1);

    /// <summary>[rows, keys]: 0 where a row may look, −∞ elsewhere. The last row stands at the last key.</summary>
    private static Tensor Mask(int rows, int keys, int window, ScalarType dtype)
    {
        int own = keys - rows;
        Tensor mask = Nowhere().triu_(own + 1);
        if (window < keys)
            mask.add_(Nowhere().tril_(own - window), TensorMemory.One);
        return mask.to(dtype);

        Tensor Nowhere() => TensorMemory.With(float.NegativeInfinity, value => torch.full([rows, keys], value, dtype: ScalarType.Float32));
    }
}
