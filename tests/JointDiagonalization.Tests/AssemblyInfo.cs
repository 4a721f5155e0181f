using System.Runtime.CompilerServices;

// libtorch uses every core by itself, and one test changes its thread count.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Eigengate.JointDiagonalization.Tests;

internal static class AssemblyInfo
{
    // Matrices here are tiny; on a shared machine a second thread costs more in waiting than it computes.
    [ModuleInitializer]
    internal static void OneThread() => TorchSharp.torch.set_num_threads(1);
}
