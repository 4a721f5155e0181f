namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// The order in which bfloat16 weights [out, in] lie for products: panels of 64 outputs, each [in / 2, 64, 2], so that one
/// pass over consecutive memory serves one row as well as many. Missing outputs of the last panel are zeros.
/// </summary>
internal static unsafe class Panels
{
    /// <summary>Outputs in a panel.</summary>
    public const int Width = 64;

    public static int Count(int outputs) => (outputs + Width - 1) / Width;

    /// <summary>Rearranges whole panels in place.</summary>
    /// <param name="weights">[count · 64, inputs], row-major before, in panels after.</param>
    /// <param name="count">Panels.</param>
    /// <param name="inputs">Even.</param>
    public static void Interleave(ushort* weights, int count, int inputs)
    {
        int pairs = inputs / 2;
        uint[] rows = new uint[(long)Width * pairs];
        for (int panel = 0; panel < count; panel++)
        {
            uint* target = (uint*)weights + ((long)panel * Width * pairs);
            new ReadOnlySpan<uint>(target, rows.Length).CopyTo(rows);
            for (int output = 0; output < Width; output++)
            {
                for (int pair = 0; pair < pairs; pair++)
                    target[((long)pair * Width) + output] = rows[((long)output * pairs) + pair];
            }
        }
    }

    /// <summary>Copies the inputs of one output, as they were before they went into panels.</summary>
    public static void CopyRow(ushort* weights, int output, int inputs, ushort* target)
    {
        int pairs = inputs / 2;
        uint* source = (uint*)weights + ((long)(output / Width) * Width * pairs) + (output % Width);
        for (int pair = 0; pair < pairs; pair++)
            ((uint*)target)[pair] = source[(long)pair * Width];
    }
}
