using Eigengate.Inference.Kernels.Cpu;

namespace Eigengate.Inference.Tests.Kernels;

public class ComputePoolTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_iteration_runs_once_on_a_thread_of_the_pool(int threads)
    {
        using var pool = new ComputePool(threads);
        for (int count = 0; count < 400; count++)
        {
            int[] runs = new int[count];
            pool.For(count, (i, thread) =>
            {
                Assert.InRange(thread, 0, threads - 1);
                Interlocked.Increment(ref runs[i]);
            });
            Assert.All(runs, r => Assert.Equal(1, r));
        }
    }

    [Fact]
    public void Threads_never_share_an_index_at_one_time()
    {
        using var pool = new ComputePool(4);
        int[] inside = new int[4];
        pool.For(20_000, (_, thread) =>
        {
            Assert.Equal(1, Interlocked.Increment(ref inside[thread]));
            Interlocked.Decrement(ref inside[thread]);
        });
    }

    [Fact]
    public void Helpers_that_fell_asleep_take_part_again()
    {
        using var pool = new ComputePool(2);
        for (int round = 0; round < 5; round++)
        {
            Thread.Sleep(20);
            int other = 0;
            pool.For(2, (_, _) =>
            {
                // Ends only when both iterations run at the same time.
                Interlocked.Increment(ref other);
                Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref other) == 2, TimeSpan.FromSeconds(30)));
            });
        }
    }

    [Fact]
    public void A_failing_iteration_is_reported_and_the_pool_goes_on()
    {
        using var pool = new ComputePool(3);
        var failure = Assert.Throws<AggregateException>(() => pool.For(100, (i, _) =>
        {
            if (i == 57)
                throw new InvalidDataException("57");
        }));
        Assert.IsType<InvalidDataException>(failure.InnerException);
        int count = 0;
        pool.For(100, (_, _) => Interlocked.Increment(ref count));
        Assert.Equal(100, count);
    }
}
