using Eigengate.JointDiagonalization.Storage;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>A low-rank part of one module that belongs to one adapter alone, y += P Qᵀ x, norm folded into P.</summary>
/// <param name="P">[d_out, t], row-major.</param>
/// <param name="Q">[d_in, t], row-major.</param>
/// <param name="OutFeatures">d_out</param>
/// <param name="InFeatures">d_in</param>
/// <param name="Rank">t</param>
public sealed record PrivateResidual(float[] P, float[] Q, int OutFeatures, int InFeatures, int Rank)
{
    /// <summary>As it reads back.</summary>
    internal static PrivateResidual From(StoredPair pair) =>
        new(pair.P.Widen(), pair.Q.Widen(), (int)pair.P.Shape[0], (int)pair.Q.Shape[0], (int)pair.P.Shape[1]);
}
