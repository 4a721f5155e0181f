namespace Eigengate.Inference.Metrics;

/// <summary>Counts observations by size. Any thread may observe or read; neither locks, and observing allocates nothing.</summary>
public sealed class Histogram
{
    private readonly double[] _bounds;
    private readonly long[] _counts;
    private double _sum;

    /// <param name="bounds">Largest value of each bucket, ascending; one more bucket takes what is larger.</param>
    /// <exception cref="ArgumentException">The bounds do not ascend.</exception>
    public Histogram(IEnumerable<double> bounds)
    {
        _bounds = [.. bounds];
        _counts = new long[_bounds.Length + 1];
        for (int i = 1; i < _bounds.Length; i++)
        {
            if (!(_bounds[i] > _bounds[i - 1]))
                throw new ArgumentException($"bucket bounds must ascend, but {_bounds[i]} follows {_bounds[i - 1]}", nameof(bounds));
        }
    }

    public IReadOnlyList<double> Bounds => _bounds;

    public void Observe(double value)
    {
        int bucket = 0;
        while (bucket < _bounds.Length && value > _bounds[bucket])
            bucket++;
        Interlocked.Increment(ref _counts[bucket]);
        double seen, sum = Volatile.Read(ref _sum);
        do
        {
            seen = sum;
            sum = Interlocked.CompareExchange(ref _sum, seen + value, seen);
        }
        while (sum != seen);
    }

    /// <summary>Observations up to each bound, cumulative; the last entry is their number. The sum may be ahead of or behind observations under way.</summary>
    public (long[] UpTo, double Sum) Read()
    {
        var upTo = new long[_counts.Length];
        long total = 0;
        for (int i = 0; i < upTo.Length; i++)
            upTo[i] = total += Volatile.Read(ref _counts[i]);
        return (upTo, Volatile.Read(ref _sum));
    }
}
