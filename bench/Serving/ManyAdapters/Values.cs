namespace Eigengate.Bench.Serving.ManyAdapters;

internal static class Values
{
    /// <summary>Uniform in ±scale.</summary>
    public static float[] Random(Random random, int count, float scale)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = ((2 * random.NextSingle()) - 1) * scale;
        return values;
    }

    public static double Median(IEnumerable<double> values) => Percentile(values, 0.5);

    public static double Percentile(IEnumerable<double> values, double q)
    {
        double[] sorted = [.. values.Order()];
        return sorted[(int)Math.Round(q * (sorted.Length - 1))];
    }
}
