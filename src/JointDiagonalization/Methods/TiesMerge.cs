using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>
/// TIES merging of the products of one module (spec/adapters.md §4.2): trim each to its largest entries, elect a sign for
/// every entry, average what agrees. Holds one product and three matrices of the module's size, however many products there are.
/// </summary>
internal static class TiesMerge
{
    /// <param name="factors">The products, norms included in the merge.</param>
    /// <param name="keep">K: exactly floor(K·d_out·d_in) entries of each product stay; among equal ones those that come first.</param>
    /// <param name="scale">λ</param>
    /// <param name="cancellation">Checked between products.</param>
    /// <returns>[d_out, d_in] on the CPU; belongs to the caller's scope.</returns>
    internal static Tensor Merge(CanonicalFactors factors, double keep, double scale, CancellationToken cancellation)
    {
        int rows = factors.OutFeatures, columns = factors.InFeatures;
        var merge = new Accumulator(checked(rows * columns), keep);
        for (int i = 0; i < factors.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            merge.Add((factors.BatchedF[i].t().mm(factors.BatchedG[i]) * factors.Norms[i]).ToFloats());
        }

        return tensor(merge.Result((float)scale), [rows, columns]);
    }

    /// <summary>Adds up positive and negative entries apart, so that the mean of either sign is at hand once the sign is elected.</summary>
    internal sealed class Accumulator(int length, double keep)
    {
        private readonly float[] _positive = new float[length];
        private readonly float[] _negative = new float[length];
        private readonly (ushort Positive, ushort Negative)[] _counts = new (ushort, ushort)[length];
        private readonly int _kept = (int)Math.Floor(length * keep);

        internal void Add(ReadOnlySpan<float> product)
        {
            var (threshold, ties) = Threshold(product, _kept);
            for (int i = 0; i < product.Length; i++)
            {
                uint magnitude = Magnitude(product[i]);
                if (magnitude < threshold || (magnitude == threshold && --ties < 0))
                    continue;
                if (product[i] > 0)
                {
                    _positive[i] += product[i];
                    _counts[i].Positive++;
                }
                else if (product[i] < 0)
                {
                    _negative[i] += product[i];
                    _counts[i].Negative++;
                }
            }
        }

        internal float[] Result(float scale)
        {
            long majority = 0;
            for (int i = 0; i < _positive.Length; i++)
                majority += Math.Sign(_positive[i] + _negative[i]);
            float[] merged = new float[_positive.Length];
            for (int i = 0; i < merged.Length; i++)
            {
                int sign = Math.Sign(_positive[i] + _negative[i]);
                merged[i] = scale * (sign == 0 ? Math.Sign(majority) : sign) switch
                {
                    > 0 => _positive[i] / Math.Max(1, (int)_counts[i].Positive),
                    < 0 => _negative[i] / Math.Max(1, (int)_counts[i].Negative),
                    _ => 0,
                };
            }

            return merged;
        }
    }

    /// <summary>
    /// The smallest magnitude that is kept, and how many entries of exactly that magnitude: bit patterns of positive floats
    /// order like the floats, so two histograms of 16 bits find it.
    /// </summary>
    private static (uint Threshold, int Ties) Threshold(ReadOnlySpan<float> values, int kept)
    {
        if (kept == 0)
            return (uint.MaxValue, 0);
        int[] histogram = new int[1 << 16];
        foreach (float value in values)
            histogram[Magnitude(value) >> 16]++;
        var (high, wanted) = Descend(histogram, kept);
        Array.Clear(histogram);
        foreach (float value in values)
        {
            uint magnitude = Magnitude(value);
            if (magnitude >> 16 == high)
                histogram[magnitude & 0xFFFF]++;
        }

        var (low, ties) = Descend(histogram, wanted);
        return ((high << 16) | low, ties);
    }

    /// <summary>The bin, from the top, that holds the wanted-th value, and how many of that bin are wanted.</summary>
    private static (uint Bin, int Wanted) Descend(int[] histogram, int wanted)
    {
        uint bin = (uint)histogram.Length - 1;
        for (; histogram[bin] < wanted; bin--)
            wanted -= histogram[bin];
        return (bin, wanted);
    }

    private static uint Magnitude(float value) => BitConverter.SingleToUInt32Bits(value) & 0x7FFF_FFFF;
}
