using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// The basis that a cluster shares in one module: U [d_out, r_U], V [d_in, r_V], columns orthonormal after a fit
/// (spec/joint-diagonalization.md §1). Owns its tensors.
/// </summary>
public sealed class SharedBasis : IDisposable
{
    /// <exception cref="ArgumentException">U or V is not a matrix.</exception>
    public SharedBasis(Tensor u, Tensor v)
    {
        if (u.dim() != 2 || v.dim() != 2)
            throw new ArgumentException($"U and V are matrices; got {u.dim()} and {v.dim()} dimensions");
        U = u.DetachFromDisposeScope();
        V = v.DetachFromDisposeScope();
    }

    /// <summary>[d_out, r_U]</summary>
    public Tensor U { get; }

    /// <summary>[d_in, r_V]</summary>
    public Tensor V { get; }

    public int OutFeatures => (int)U.shape[0];

    public int InFeatures => (int)V.shape[0];

    public int RankU => (int)U.shape[1];

    public int RankV => (int)V.shape[1];

    public static SharedBasis FromArrays(float[] u, int outFeatures, int rankU, float[] v, int inFeatures, int rankV) =>
        new(tensor(u, [outFeatures, rankU]), tensor(v, [inFeatures, rankV]));

    public SharedBasis To(Device device, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        return new SharedBasis(U.to(dtype).to(device).clone(), V.to(dtype).to(device).clone());
    }

    public void Dispose()
    {
        U.Dispose();
        V.Dispose();
    }
}
