using System.Buffers.Binary;
using CsCheck;

namespace Eigengate.Safetensors.Tests;

public sealed class FloatConversionTests
{
    [Fact]
    public void Every_bfloat16_widens_and_rounds_back_to_itself()
    {
        for (int bits = 0; bits <= ushort.MaxValue; bits++)
        {
            float value = Widen(DType.BF16, (ushort)bits);
            Assert.Equal((uint)bits << 16, BitConverter.SingleToUInt32Bits(value));
            ushort back = FloatConversion.ToBFloat16(value);
            if (float.IsNaN(value))
                Assert.True(float.IsNaN(Widen(DType.BF16, back)));
            else
                Assert.Equal(bits, back);
        }
    }

    [Fact]
    public void Every_half_widens_exactly()
    {
        for (int bits = 0; bits <= ushort.MaxValue; bits++)
        {
            float value = Widen(DType.F16, (ushort)bits);
            Half half = BitConverter.UInt16BitsToHalf((ushort)bits);
            if (Half.IsNaN(half))
                Assert.True(float.IsNaN(value));
            else
                Assert.Equal((ushort)bits, BitConverter.HalfToUInt16Bits((Half)value));
        }
    }

    [Fact]
    public void Rounding_to_bfloat16_picks_the_nearest() =>
        Gen.Float.Where(f => MathF.Abs(f) is > 1e-30f and < 1e38f).Sample(
            value =>
            {
                ushort rounded = FloatConversion.ToBFloat16(value);
                double distance = Math.Abs((double)Widen(DType.BF16, rounded) - value);
                foreach (int neighbour in new[] { rounded - 1, rounded + 1 })
                    Assert.True(distance <= Math.Abs((double)Widen(DType.BF16, (ushort)neighbour) - value));
            },
            iter: 2000,
            threads: 1);

    [Theory]
    [InlineData(0x3F808000u, 0x3F80)]
    [InlineData(0x3F818000u, 0x3F82)]
    [InlineData(0x7F7FFFFFu, 0x7F80)]
    public void Ties_go_to_even_and_overflow_to_infinity(uint bits, int expected) =>
        Assert.Equal(expected, FloatConversion.ToBFloat16(BitConverter.UInt32BitsToSingle(bits)));

    [Fact]
    public void A_double_is_narrowed_and_an_integer_is_not_a_float()
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, 0.1);
        float[] value = new float[1];
        Assert.True(FloatConversion.TryWiden(bytes, DType.F64, value));
        Assert.Equal(0.1f, value[0]);
        Assert.False(FloatConversion.TryWiden(bytes, DType.I64, value));
    }

    [Theory]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void Narrow_storage_reads_back_rounded(DType dtype)
    {
        float[] values = [1, -0.5f, 3.14159f, 65504, 1e-3f];
        using SafetensorsFile file = SafetensorsFile.Parse(new SafetensorsWriter().Add("t", values, [5], dtype).ToArray(), "memory");
        float[] read = file.ReadFloat32("t");
        for (int i = 0; i < values.Length; i++)
            Assert.InRange(read[i] / values[i], 1 - (1 / 256f), 1 + (1 / 256f));
    }

    private static float Widen(DType dtype, ushort bits)
    {
        byte[] bytes = new byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, bits);
        float[] value = new float[1];
        Assert.True(FloatConversion.TryWiden(bytes, dtype, value));
        return value[0];
    }
}
