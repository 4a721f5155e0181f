namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Bounds what reading one constraint may cost, so that a hostile one ends in well under a second, and lets it be cancelled.</summary>
/// <param name="cancel">Gives up.</param>
internal sealed class CompileWork(CancellationToken cancel)
{
    /// <summary>A step is some hundred nanoseconds: an entry compared, a node made.</summary>
    private const int MaxSteps = 2_000_000;

    private int _left = MaxSteps;

    /// <exception cref="ConstraintException">There were too many steps.</exception>
    /// <exception cref="OperationCanceledException">Given up.</exception>
    public void Spend(int steps)
    {
        cancel.ThrowIfCancellationRequested();
        _left -= steps;
        if (_left < 0)
            throw new ConstraintException("it is too large: reading it takes too many steps");
    }
}
