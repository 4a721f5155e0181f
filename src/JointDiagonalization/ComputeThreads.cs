using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>Sets torch's thread count for the duration of a run. The count is the process's, so it is put back afterwards.</summary>
internal sealed class ComputeThreads : IDisposable
{
    /// <summary>Below this size a module's products are too small to share among threads.</summary>
    private const int SmallModule = 1024;

    private readonly int _before = get_num_threads();

    private ComputeThreads(int count) => set_num_threads(count);

    /// <param name="chosen">The operator's choice, or null.</param>
    /// <param name="largestDimension">Largest d_out or d_in of the modules.</param>
    public static ComputeThreads Use(int? chosen, int largestDimension) =>
        new(chosen ?? (largestDimension < SmallModule ? 1 : Environment.ProcessorCount));

    public void Dispose() => set_num_threads(_before);
}
