using System.Text;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Ranges of code points as sequences of byte ranges of their UTF-8 (as in Thompson's and Cox's UTF-8 automata).</summary>
internal static class Utf8Ranges
{
    // Last code point of each encoded length.
    private static readonly int[] LengthEnds = [0x7F, 0x7FF, 0xFFFF, 0x10FFFF];

    /// <summary>Byte sequences whose products together are exactly the encodings of the set.</summary>
    public static IEnumerable<(byte Low, byte High)[]> Of(CodePoints set) => set.Ranges.SelectMany(r => Split(r.First, r.Last));

    private static IEnumerable<(byte Low, byte High)[]> Split(int first, int last)
    {
        foreach (var end in LengthEnds)
        {
            if (first <= end && end < last)
                return Split(first, end).Concat(Split(end + 1, last));
        }

        // A range is a product of byte ranges when below its first differing byte it covers whole blocks of continuation bytes.
        for (var bits = 6; first >= 0x80 && bits <= 18; bits += 6)
        {
            var block = (1 << bits) - 1;
            if ((first & ~block) == (last & ~block))
                continue;
            if ((first & block) != 0)
                return Split(first, first | block).Concat(Split((first | block) + 1, last));
            if ((last & block) != block)
                return Split(first, (last & ~block) - 1).Concat(Split(last & ~block, last));
        }

        return [Product(first, last)];
    }

    private static (byte Low, byte High)[] Product(int first, int last)
    {
        Span<byte> low = stackalloc byte[4];
        Span<byte> high = stackalloc byte[4];
        var length = new Rune(first).EncodeToUtf8(low);
        new Rune(last).EncodeToUtf8(high);
        var product = new (byte, byte)[length];
        for (var i = 0; i < length; i++)
            product[i] = (low[i], high[i]);
        return product;
    }
}
