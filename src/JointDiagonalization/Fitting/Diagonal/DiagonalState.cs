using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting.Diagonal;

/// <summary>One point of the alternation, all in float64.</summary>
/// <param name="U">[d_out, r], unit columns.</param>
/// <param name="V">[d_in, r], unit columns.</param>
/// <param name="D">[k, r], the diagonal core of each unit product.</param>
/// <param name="Error">Summed squared error of the unit products.</param>
/// <param name="LargestCore">max |d|; far above 1 when columns cancel each other.</param>
internal sealed record DiagonalState(Tensor U, Tensor V, Tensor D, double Error, double LargestCore)
{
    internal DiagonalState MoveToOuterScope()
    {
        U.MoveToOuterDisposeScope();
        V.MoveToOuterDisposeScope();
        D.MoveToOuterDisposeScope();
        return this;
    }
}
