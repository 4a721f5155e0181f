using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Eigengate.Safetensors;

/// <summary>Exact widening to float32 and round-to-nearest-even narrowing to bfloat16.</summary>
public static class FloatConversion
{
    /// <summary>Widens little-endian elements; false when <paramref name="dtype"/> is not floating point.</summary>
    public static bool TryWiden(ReadOnlySpan<byte> source, DType dtype, Span<float> destination)
    {
        switch (dtype)
        {
            case DType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                return true;
            case DType.F64:
                for (int i = 0; i < destination.Length; i++)
                    destination[i] = (float)BinaryPrimitives.ReadDoubleLittleEndian(source[(8 * i)..]);
                return true;
            case DType.F16:
                for (int i = 0; i < destination.Length; i++)
                    destination[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(source[(2 * i)..]);
                return true;
            case DType.BF16:
                for (int i = 0; i < destination.Length; i++)
                    destination[i] = BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(source[(2 * i)..]) << 16);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Rounds to the nearest F32, BF16 or F16, ties to even, as little-endian elements.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Another type.</exception>
    public static void Narrow(ReadOnlySpan<float> source, DType dtype, Span<byte> destination)
    {
        switch (dtype)
        {
            case DType.F32:
                MemoryMarshal.AsBytes(source).CopyTo(destination);
                break;
            case DType.BF16:
                for (int i = 0; i < source.Length; i++)
                    BinaryPrimitives.WriteUInt16LittleEndian(destination[(2 * i)..], ToBFloat16(source[i]));
                break;
            case DType.F16:
                for (int i = 0; i < source.Length; i++)
                    BinaryPrimitives.WriteHalfLittleEndian(destination[(2 * i)..], (Half)source[i]);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "float values are stored as F32, BF16 or F16");
        }
    }

    /// <summary>Rounds to the nearest bfloat16, ties to even; NaN stays NaN.</summary>
    public static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value))
            return (ushort)((bits >> 16) | 0x40);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}
