namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>Progress that is reported on the thread of the run, so that a test can act at an exact moment.</summary>
internal sealed class Immediate(Action<CompressionProgress> action) : IProgress<CompressionProgress>
{
    public void Report(CompressionProgress value) => action(value);
}
