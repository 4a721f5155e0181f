namespace Eigengate.Bench.Serving.ManyAdapters;

internal enum Popularity
{
    Uniform,

    /// <summary>The k-th adapter is asked for in proportion to 1/k.</summary>
    Zipf,
}

/// <summary>Draws the adapter of each request; the same draws for the same seed.</summary>
internal static class AdapterChoice
{
    public static int[] Draw(Popularity popularity, int adapters, int requests, int seed)
    {
        var random = new Random(seed);
        double[] upTo = new double[adapters];
        double sum = 0;
        for (int i = 0; i < adapters; i++)
            upTo[i] = sum += popularity == Popularity.Zipf ? 1.0 / (i + 1) : 1;
        return [.. Enumerable.Range(0, requests).Select(_ => Math.Min(adapters - 1, Place(upTo, random.NextDouble() * sum)))];
    }

    private static int Place(double[] upTo, double value)
    {
        int found = Array.BinarySearch(upTo, value);
        return found < 0 ? ~found : found;
    }
}
