using System.Runtime.Intrinsics;
using Eigengate.Inference.Kernels.Cpu;

namespace Eigengate.Inference.Tests.Kernels;

/// <summary>The fused loops against plain float64 loops, on whole vectors, tails, and both. Tolerance 1e-5 of the sum of magnitudes.</summary>
public unsafe class CpuKernelTests
{
    public static TheoryData<int> Widths => [1, 2, 7, 15, 16, 17, 31, 32, 48, 63, 64, 65, 80, 131];

    [Theory]
    [MemberData(nameof(Widths))]
    public void Linear_equals_plain_loops_for_any_rows_and_outputs(int inner)
    {
        foreach (int rows in (int[])[1, 2, 4, 5, 11])
        {
            foreach (int outputs in (int[])[1, 3, 4, 9, 32])
            {
                // Rows lie further apart than they are wide, as in a slice of a wider activation.
                float[] x = Random(rows * (inner + 3), 1), w = Random(outputs * inner, 2), y = Random(rows * (outputs + 5), 3);
                float[] before = [.. y], added = [.. y];
                fixed (float* px = x, pw = w, py = y, pa = added)
                {
                    CpuLinear.Multiply((F32*)px, inner + 3, (F32*)pw, inner, (F32*)py, outputs + 5, rows, outputs, accumulate: false);
                    CpuLinear.Multiply((F32*)px, inner + 3, (F32*)pw, inner, (F32*)pa, outputs + 5, rows, outputs, accumulate: true);
                }

                for (int r = 0; r < rows; r++)
                {
                    for (int o = 0; o < outputs + 5; o++)
                    {
                        int at = (r * (outputs + 5)) + o;
                        double sum = o >= outputs ? 0 : Enumerable.Range(0, inner).Sum(i => (double)x[(r * (inner + 3)) + i] * w[(o * inner) + i]);
                        Assert.Equal(o < outputs ? sum : before[at], y[at], 1e-4);
                        Assert.Equal(before[at] + sum, added[at], 1e-4);
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Combinations_equal_plain_loops(int width)
    {
        foreach (var (rows, inner) in new[] { (1, 1), (2, 2), (3, 5), (4, 16), (5, 33) })
        {
            float[] c = Random(rows * (inner + 3), 1), w = Random(inner * width, 2), y = Random(rows * (width + 5), 3), before = [.. y];
            fixed (float* pc = c, pw = w, py = y)
                CpuLinear.AddCombinations(pc, inner + 3, (F32*)pw, inner, (F32*)py, width + 5, rows, width);
            for (int r = 0; r < rows; r++)
            {
                for (int o = 0; o < width + 5; o++)
                {
                    double sum = o >= width ? 0 : Enumerable.Range(0, inner).Sum(j => (double)c[(r * (inner + 3)) + j] * w[(j * width) + o]);
                    Assert.Equal(before[(r * (width + 5)) + o] + sum, y[(r * (width + 5)) + o], 1e-4);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Core_equals_plain_loops(int width)
    {
        foreach (int inner in (int[])[1, 2, 5, 16, 33])
        {
            // Values that bfloat16 holds exactly, so that both forms of the core must give the same.
            float[] x = Random(inner, 1), core = Array.ConvertAll(Random(inner * width, 2), v => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(v) & 0xFFFF0000)), y = new float[width], z = new float[width];
            ushort[] half = Array.ConvertAll(core, Safetensors.FloatConversion.ToBFloat16);
            fixed (float* px = x, pcore = core, py = y, pz = z)
            fixed (ushort* phalf = half)
            {
                CpuLinear.Core((F32*)pcore, (F32*)px, inner, py, width);
                CpuLinear.Core((Bf16*)phalf, (F32*)px, inner, pz, width);
            }

            Assert.Equal(y, z);
            for (int u = 0; u < width; u++)
                Assert.Equal(Enumerable.Range(0, inner).Sum(v => (double)x[v] * core[(v * width) + u]), y[u], 1e-4);
        }
    }

    [Fact]
    public void Vector_exp_is_within_two_units_in_the_last_place()
    {
        for (float x = -87.3f; x < 88; x += 0.00917f)
        {
            double expected = Math.Exp(x);
            float actual = VectorExp.Of(Vector512.Create(x))[0];
            Assert.InRange(Math.Abs(actual - expected) / (MathF.BitIncrement((float)expected) - (float)expected), 0, 2);
        }

        Assert.InRange(VectorExp.Of(Vector512.Create(float.NegativeInfinity))[3], 0, 1.2e-38f);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Norm_and_activation_equal_plain_loops(int width)
    {
        float[] x = Random(width, 1), w = Random(width, 2), norm = new float[width], silu = new float[width];
        fixed (float* px = x, pw = w, pn = norm, ps = silu)
        {
            CpuElementwise.RmsNorm((F32*)px, pw, 1e-5f, (F32*)pn, width);
            CpuElementwise.SiluMultiply((F32*)px, (F32*)pw, (F32*)ps, width);
        }

        double scale = 1 / Math.Sqrt(x.Average(v => (double)v * v) + 1e-5);
        for (int i = 0; i < width; i++)
        {
            Assert.Equal(x[i] * scale * w[i], norm[i], 1e-5);
            Assert.Equal(x[i] / (1 + Math.Exp(-x[i])) * w[i], silu[i], 1e-5);
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Addition_equals_plain_loops(int width)
    {
        float[] x = Random(width, 1), y = Random(width + 1, 2), before = [.. y];
        fixed (float* px = x, py = y)
            CpuElementwise.Add(px, (F32*)py, width);
        Assert.Equal([.. x.Zip(before, (a, b) => a + b), before[width]], y);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Rotation_equals_plain_loops(int half)
    {
        float[] heads = Random(2 * 2 * half, 1), before = [.. heads], angles = Random(half, 2);
        float[] cos = [.. angles.Select(MathF.Cos)], sin = [.. angles.Select(MathF.Sin)];
        fixed (float* ph = heads, pc = cos, ps = sin)
            CpuElementwise.Rotate((F32*)ph, 2, half, pc, ps);
        for (int head = 0; head < 2; head++)
        {
            for (int i = 0; i < half; i++)
            {
                int a = (2 * half * head) + i, b = a + half;
                Assert.Equal((before[a] * cos[i]) - (before[b] * sin[i]), heads[a], 1e-5);
                Assert.Equal((before[b] * cos[i]) + (before[a] * sin[i]), heads[b], 1e-5);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Attention_pieces_equal_plain_loops(int width)
    {
        foreach (int positions in (int[])[1, 3, 4, 15, 16, 17, 40])
        {
            int stride = width + 2;
            float[] query = Random(width, 1), keys = Random(positions * stride, 2), scores = new float[(positions + 15) / 16 * 16], mixed = new float[width];
            float sum;
            fixed (float* pq = query, pk = keys, ps = scores, pm = mixed)
            {
                CpuAttention.Scores(pq, (F32*)pk, stride, width, positions, ps);
                sum = CpuAttention.Exponentiate(ps, positions);
                CpuAttention.Mix(ps, (F32*)pk, stride, width, positions, pm);
            }

            double[] raw = [.. Enumerable.Range(0, positions).Select(p => Enumerable.Range(0, width).Sum(i => (double)query[i] * keys[(p * stride) + i]))];
            double[] weights = [.. raw.Select(s => Math.Exp(s - raw.Max()))];
            Assert.Equal(1, sum / weights.Sum(), 1e-4);
            for (int i = 0; i < width; i++)
                Assert.Equal(Enumerable.Range(0, positions).Sum(p => weights[p] * keys[(p * stride) + i]), mixed[i], 1e-3);
        }
    }

    [Fact]
    public void Bfloat16_is_widened_exactly_and_rounded_to_the_nearest_even()
    {
        float[] values = [.. Random(64, 1), 0, -0f, 1e-30f, 3e38f, 1.00390625f, 1.01171875f, float.PositiveInfinity, -1e-40f, .. new float[8]];
        ushort[] vector = new ushort[values.Length], scalar = new ushort[values.Length];
        float[] back = new float[values.Length];
        fixed (float* pv = values, pb = back)
        fixed (ushort* pn = vector, ps = scalar)
        {
            for (int i = 0; i < values.Length; i += 16)
            {
                Bf16.Store((Bf16*)pn + i, F32.Load((F32*)pv + i));
                F32.Store((F32*)pb + i, Bf16.Load((Bf16*)pn + i));
            }

            for (int i = 0; i < values.Length; i++)
                Bf16.Write((Bf16*)ps + i, values[i]);
            for (int i = 0; i < values.Length; i++)
                Assert.Equal(back[i], Bf16.Read((Bf16*)pn + i));
        }

        Assert.Equal(scalar, vector);
    }

    private static float[] Random(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)TestModel.Normal(random))];
    }
}
