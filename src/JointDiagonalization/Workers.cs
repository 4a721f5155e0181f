using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// Runs independent pieces of work next to each other, each on one torch thread. Pieces that fit in a cache gain nothing
/// from torch's own threads, and a piece computed on one thread gives the same bits however many run beside it.
/// </summary>
internal static class Workers
{
    /// <summary>Calls <paramref name="body"/> for 0 … count − 1, as many at once as torch has compute threads.</summary>
    internal static void For(int count, Action<int> body, CancellationToken cancellation)
    {
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            if (threads == 1 || count == 1)
            {
                for (int i = 0; i < count; i++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    body(i);
                }

                return;
            }

            Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellation }, i =>
            {
                // Torch keeps the count per thread; threads of the pool may have seen another.
                set_num_threads(1);
                body(i);
            });
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
        finally
        {
            set_num_threads(threads);
        }
    }
}
