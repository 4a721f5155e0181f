using System.Diagnostics;
using TorchSharp;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// The engine's thread and its helpers, which share the iterations of a loop. A helper that has nothing to do looks for the
/// next loop for a moment and then sleeps, so that an idle engine costs nothing; torch itself never starts threads here, as
/// its waiting threads would compete with these for the cores.
/// </summary>
internal sealed class ComputePool : IDisposable
{
    private static readonly long Patience = Stopwatch.Frequency / 10_000;
    private readonly Helper[] _helpers;
    private Loop _loop = Loop.None;
    private bool _stopping;

    /// <param name="threads">The caller of <see cref="For"/> included.</param>
    public ComputePool(int threads)
    {
        _helpers = new Helper[threads - 1];
        for (int i = 0; i < _helpers.Length; i++)
            _helpers[i] = new Helper(this, i + 1);
    }

    /// <summary>The caller of <see cref="For"/> included.</summary>
    public int Threads => _helpers.Length + 1;

    /// <summary>Runs all iterations on any threads in any order and returns when the last has ended. One caller at a time.</summary>
    /// <param name="count">Iterations.</param>
    /// <param name="body">Gets the iteration and the index of the thread, below <see cref="Threads"/>, that runs it.</param>
    public void For(int count, Action<int, int> body)
    {
        if (count <= 1 || _helpers.Length == 0)
        {
            for (int i = 0; i < count; i++)
                body(i, 0);
            return;
        }

        var loop = new Loop(count, body);
        Interlocked.Exchange(ref _loop, loop);
        foreach (Helper helper in _helpers)
            helper.Wake();
        loop.Take(thread: 0);
        loop.WaitForOthers();
    }

    public void Dispose()
    {
        Volatile.Write(ref _stopping, true);
        foreach (Helper helper in _helpers)
            helper.Dispose();
    }

    /// <summary>One loop's iterations; a helper that comes late finds none left and touches nothing else.</summary>
    private sealed class Loop(int count, Action<int, int> body)
    {
        public static readonly Loop None = new(0, (_, _) => { });
        private int _next = -1;
        private int _done;
        private Exception? _failure;

        public void Take(int thread)
        {
            for (int i = Interlocked.Increment(ref _next); i < count; i = Interlocked.Increment(ref _next))
            {
                try
                {
                    body(i, thread);
                }
                catch (Exception e)
                {
                    _failure = e;
                }

                Interlocked.Increment(ref _done);
            }
        }

        public void WaitForOthers()
        {
            for (int spins = 0; Volatile.Read(ref _done) < count; spins++)
            {
                // The helper may have lost its core to another process.
                if (spins > 1000)
                    Thread.Yield();
                else
                    Thread.SpinWait(1);
            }

            if (_failure is not null)
                throw new AggregateException(_failure);
        }
    }

    private sealed class Helper : IDisposable
    {
        private readonly ComputePool _pool;
        private readonly int _index;
        private readonly Thread _thread;
        private readonly AutoResetEvent _wake = new(false);
        private int _asleep;

        public Helper(ComputePool pool, int index)
        {
            _pool = pool;
            _index = index;
            _thread = new Thread(Run) { IsBackground = true, Name = $"compute {index}" };
            _thread.Start();
        }

        public void Wake()
        {
            if (Volatile.Read(ref _asleep) != 0)
                _wake.Set();
        }

        public void Dispose()
        {
            _wake.Set();
            _thread.Join();
            _wake.Dispose();
        }

        private void Run()
        {
            torch.set_num_threads(1);
            using var inference = torch.inference_mode();
            Loop last = Loop.None;
            while (Next(last) is { } loop)
            {
                loop.Take(_index);
                last = loop;
            }
        }

        /// <summary>The loop after the last one, or null when the pool ends.</summary>
        private Loop? Next(Loop last)
        {
            long start = Stopwatch.GetTimestamp();
            while (true)
            {
                for (int i = 0; i < 64; i++)
                {
                    Loop loop = Volatile.Read(ref _pool._loop);
                    if (!ReferenceEquals(loop, last))
                        return loop;
                    Thread.SpinWait(1);
                }

                if (Volatile.Read(ref _pool._stopping))
                    return null;
                if (Stopwatch.GetTimestamp() - start > Patience)
                    Sleep(last);
            }
        }

        private void Sleep(Loop last)
        {
            // Announced before the last look: a loop that comes after it wakes this thread.
            Interlocked.Exchange(ref _asleep, 1);
            if (ReferenceEquals(Volatile.Read(ref _pool._loop), last) && !Volatile.Read(ref _pool._stopping))
                _wake.WaitOne();
            Volatile.Write(ref _asleep, 0);
        }
    }
}
