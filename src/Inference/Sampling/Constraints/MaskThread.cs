using System.Collections.Concurrent;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// Finds masks while the model computes. One thread of its own, so that constraints that are costly to follow delay neither
/// the engine's steps nor the thread pool, only each other.
/// </summary>
internal static class MaskThread
{
    private static readonly BlockingCollection<Action> Waiting = Start();

    /// <summary>Has a mask found; returns at once.</summary>
    /// <param name="find">Does not throw.</param>
    public static void Enqueue(Action find) => Waiting.Add(find);

    private static BlockingCollection<Action> Start()
    {
        var waiting = new BlockingCollection<Action>();
        var thread = new Thread(() =>
        {
            foreach (var find in waiting.GetConsumingEnumerable())
                find();
        });
        (thread.IsBackground, thread.Name) = (true, "token masks");
        thread.UnsafeStart();
        return waiting;
    }
}
