using Eigengate.Inference.Metrics;

namespace Eigengate.Inference.Tests.Metrics;

public class HistogramTests
{
    [Fact]
    public void Values_are_counted_up_to_their_bound_inclusive()
    {
        var histogram = new Histogram([1, 2, 5]);
        foreach (double value in (double[])[0, 1, 1.5, 5, 5.25, double.PositiveInfinity])
            histogram.Observe(value);
        Assert.Equal([2, 3, 4, 6], histogram.Read().UpTo);
        Assert.Equal(double.PositiveInfinity, histogram.Read().Sum);
    }

    [Fact]
    public void Observations_from_many_threads_are_all_there()
    {
        var histogram = new Histogram([0.5, 1.5]);
        Parallel.For(0, 8, thread =>
        {
            for (int i = 0; i < 20_000; i++)
                histogram.Observe(thread % 3);
        });
        Assert.Equal([60_000, 120_000, 160_000], histogram.Read().UpTo);
        Assert.Equal(60_000 + (2 * 40_000), histogram.Read().Sum);
    }

    [Fact]
    public void Observing_does_not_allocate()
    {
        var histogram = new Histogram(Buckets.BetweenTokens);
        histogram.Observe(1);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            histogram.Observe(i);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Bounds_that_do_not_ascend_are_refused() =>
        Assert.Contains("2 follows 2", Assert.Throws<ArgumentException>(() => new Histogram([1, 2, 2])).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(1, "1")]
    [InlineData(4, "1 2")]
    [InlineData(50, "1 2 5 10 20 50")]
    [InlineData(4096, "1 2 5 10 20 50 100 200 500 1000 2000")]
    public void Token_buckets_are_a_one_two_five_series_up_to_the_context(int length, string bounds) =>
        Assert.Equal(bounds, string.Join(' ', Buckets.Tokens(length)));
}
