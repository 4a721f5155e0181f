using Eigengate.Inference.Kernels.Cpu;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests.Kernels;

/// <summary>Products with weights in panels, by the processor's BF16 instructions and portably, against float64 loops.</summary>
public unsafe class PanelProductTests
{
    public static TheoryData<bool, int> Ways
    {
        get
        {
            var data = new TheoryData<bool, int>();
            foreach (int threads in (int[])[1, 3])
            {
                data.Add(true, threads);
                if (PanelCode.IsSupported)
                    data.Add(false, threads);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Products_equal_plain_loops_for_any_rows_inputs_and_outputs(bool portable, int threads)
    {
        using var pool = new ComputePool(threads);
        using var product = new PanelProduct(pool, portable);
        foreach (int inputs in (int[])[2, 4, 34, 130])
        {
            foreach (int outputs in (int[])[1, 16, 63, 64, 65, 200])
            {
                foreach (int rows in (int[])[1, 2, 5, 6, 7, 13, 33])
                    CheckProduct(product, rows, inputs, outputs);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void A_row_gives_the_same_bits_alone_and_among_others(bool portable, int threads)
    {
        const int Rows = 37, Inputs = 258, Outputs = 200;
        using var pool = new ComputePool(threads);
        using var product = new PanelProduct(pool, portable);
        ushort[] x = Random(Rows * Inputs, 1), panels = InPanels(Random(Outputs * Inputs, 2), Inputs);
        float[] together = new float[Rows * Outputs], alone = new float[Rows * Outputs];
        fixed (ushort* px = x, pw = panels)
        fixed (float* pt = together, pa = alone)
        {
            product.Multiply(px, Inputs, pw, Inputs, Outputs, (F32*)pt, Outputs, Rows, accumulate: false);
            for (int row = 0; row < Rows; row++)
                product.Multiply(px + (row * Inputs), Inputs, pw, Inputs, Outputs, (F32*)pa + (row * Outputs), Outputs, 1, accumulate: false);
        }

        Assert.Equal(together, alone);
    }

    [Fact]
    public void Generated_code_adds_to_a_tile()
    {
        if (!PanelCode.IsSupported)
            Assert.Skip("the processor has no AVX-512 BF16");
        ushort[] x = Random(6 * 8, 1), panel = Random(8 * 64, 2);
        for (int rows = 1; rows <= PanelCode.MaxRows; rows++)
        {
            float[] fresh = new float[6 * 64], added = new float[6 * 64];
            Array.Fill(added, 2f);
            fixed (ushort* px = x, pw = panel)
            fixed (float* pf = fresh, pa = added)
            {
                PanelCode.Run(px, 8 * sizeof(ushort), pw, 4, pf, rows, accumulate: false);
                PanelCode.Run(px, 8 * sizeof(ushort), pw, 4, pa, rows, accumulate: true);
            }

            for (int i = 0; i < 6 * 64; i++)
                Assert.Equal(2 + fresh[i], added[i], 1e-5);
            Assert.All(fresh[(rows * 64)..], value => Assert.Equal(0, value));
        }
    }

    [Fact]
    public void Rows_come_back_out_of_panels_as_they_went_in()
    {
        const int Outputs = 150, Inputs = 22;
        ushort[] weights = Random(Outputs * Inputs, 1), panels = InPanels(weights, Inputs), row = new ushort[Inputs];
        fixed (ushort* pp = panels, pr = row)
        {
            for (int output = 0; output < Outputs; output++)
            {
                Panels.CopyRow(pp, output, Inputs, pr);
                Assert.Equal(weights[(output * Inputs)..((output + 1) * Inputs)], row);
            }
        }
    }

    private static void CheckProduct(PanelProduct product, int rows, int inputs, int outputs)
    {
        // Rows lie further apart than they are wide, as in a slice of a wider activation.
        int strideX = inputs + 6, strideY = outputs + 5;
        ushort[] x = Random(rows * strideX, 1), w = Random(outputs * inputs, 2), panels = InPanels(w, inputs), y = Random(rows * strideY, 4), before = [.. y];
        float[] wide = [.. Enumerable.Range(0, rows * strideY).Select(i => i * 0.01f)];
        fixed (ushort* px = x, pw = panels, py = y)
        fixed (float* pf = wide)
        {
            product.Multiply(px, strideX, pw, inputs, outputs, (Bf16*)py, strideY, rows, accumulate: false);
            product.Multiply(px, strideX, pw, inputs, outputs, (F32*)pf, strideY, rows, accumulate: true);
        }

        for (int r = 0; r < rows; r++)
        {
            for (int o = 0; o < strideY; o++)
            {
                int at = (r * strideY) + o;
                double sum = o >= outputs ? 0 : Enumerable.Range(0, inputs).Sum(i => (double)Wide(x[(r * strideX) + i]) * Wide(w[(o * inputs) + i]));
                Assert.Equal((at * 0.01) + sum, wide[at], 1e-4 * (1 + Math.Abs(sum) + (at * 0.01)));
                if (o < outputs)
                    Assert.Equal(sum, Wide(y[at]), 1e-4 + (Math.Abs(sum) / 256));
                else
                    Assert.Equal(before[at], y[at]);
            }
        }
    }

    private static ushort[] InPanels(ushort[] weights, int inputs)
    {
        int count = Panels.Count(weights.Length / inputs);
        ushort[] panels = new ushort[count * Panels.Width * inputs];
        weights.CopyTo(panels, 0);
        fixed (ushort* p = panels)
            Panels.Interleave(p, count, inputs);
        return panels;
    }

    private static float Wide(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);

    private static ushort[] Random(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => FloatConversion.ToBFloat16((float)TestModel.Normal(random)))];
    }
}
