namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>Seeded LoRA collections: unstructured, and families whose members share planted column and row spaces.</summary>
internal static class Synthetic
{
    internal static float[] Gaussian(Random random, int count)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        return values;
    }

    internal static LoraDelta Random(Random random, int outFeatures, int inFeatures, int rank, double scale = 1) =>
        new(Gaussian(random, outFeatures * rank), Gaussian(random, rank * inFeatures), outFeatures, inFeatures, rank, scale);

    internal static LoraDelta[] Unstructured(int seed, int count, int outFeatures, int inFeatures, int rank)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => Random(random, outFeatures, inFeatures, rank, 0.5 + random.NextDouble()))];
    }

    /// <summary>Member i belongs to family i mod families: B = P X + noise, A = Y Q + noise with the family's P [d_out, s], Q [s, d_in].</summary>
    internal static LoraDelta[] Families(
        int seed, int count, int families, int outFeatures, int inFeatures, int rank, int shared, double noise)
    {
        var random = new Random(seed);
        var spaces = Enumerable.Range(0, families)
            .Select(_ => (P: Gaussian(random, outFeatures * shared), Q: Gaussian(random, shared * inFeatures))).ToArray();
        return
        [
            .. Enumerable.Range(0, count).Select(i =>
            {
                var (p, q) = spaces[i % families];
                float[] b = Multiply(p, Gaussian(random, shared * rank), outFeatures, shared, rank);
                float[] a = Multiply(Gaussian(random, rank * shared), q, rank, shared, inFeatures);
                AddNoise(random, b, noise * Math.Sqrt(shared));
                AddNoise(random, a, noise * Math.Sqrt(shared));
                return new LoraDelta(b, a, outFeatures, inFeatures, rank, 1.0);
            }),
        ];
    }

    internal static CanonicalFactors Canonical(
        IEnumerable<LoraDelta> deltas, TorchSharp.torch.ScalarType dtype = TorchSharp.torch.ScalarType.Float64) =>
        CanonicalFactors.From([.. deltas.Select((d, i) => (i, d))], dtype: dtype);

    internal static float[] Multiply(float[] left, float[] right, int rows, int inner, int columns)
    {
        float[] product = new float[rows * columns];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                double sum = 0;
                for (int k = 0; k < inner; k++)
                    sum += (double)left[(i * inner) + k] * right[(k * columns) + j];
                product[(i * columns) + j] = (float)sum;
            }
        }

        return product;
    }

    private static void AddNoise(Random random, float[] values, double amount)
    {
        float[] noise = Gaussian(random, values.Length);
        for (int i = 0; i < values.Length; i++)
            values[i] += (float)(amount * noise[i]);
    }
}
