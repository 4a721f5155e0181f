using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// Cores of given adapters on a given basis, without moving it: Σ = UᵀMV for orthonormal bases, and the least-squares
/// core for bases rounded in storage (spec/joint-diagonalization.md §5 "Registering a new adapter", §6 "Precision").
/// </summary>
public static class SigmaProjection
{
    /// <summary>The serving core of one delta, norm folded in, with its honest error on this basis.</summary>
    /// <exception cref="ArgumentException">The delta and the basis belong to modules of different shapes.</exception>
    public static Sigma Project(LoraDelta delta, SharedBasis basis)
    {
        if (delta.OutFeatures != basis.OutFeatures || delta.InFeatures != basis.InFeatures)
        {
            throw new ArgumentException(
                $"the delta is [{delta.OutFeatures}, {delta.InFeatures}]; the basis serves [{basis.OutFeatures}, {basis.InFeatures}]", nameof(delta));
        }

        using CanonicalFactors factors = CanonicalFactors.From([(0, delta)], basis.U.device, basis.U.dtype);
        return factors.Count == 0 ? Sigma.Zero(basis.RankU, basis.RankV) : Project(factors, basis)[0];
    }

    /// <summary>Serving cores of all products, in their order.</summary>
    public static Sigma[] Project(CanonicalFactors factors, SharedBasis basis)
    {
        using var scope = NewDisposeScope();
        var (qu, ru) = linalg.qr(basis.U.to(ScalarType.Float64));
        var (qv, rv) = linalg.qr(basis.V.to(ScalarType.Float64));
        using var orthonormal = new SharedBasis(qu.to(factors.F.dtype), qv.to(factors.G.dtype));
        double[] errors = ReconstructionError.Of(factors, orthonormal);

        Tensor z = ReconstructionError.Projected(factors.F, orthonormal.U, factors);
        Tensor w = ReconstructionError.Projected(factors.G, orthonormal.V, factors);
        Tensor norms = tensor(factors.Norms.ToArray()).to(z.device).view(-1, 1, 1);
        Tensor cores = z.transpose(1, 2).bmm(w) * norms;
        // U = Q R: the core on U is R⁻¹ (QᵀMQ) R⁻ᵀ.
        Tensor served = linalg.inv(ru).matmul(cores).matmul(linalg.inv(rv).t());
        float[] values = served.ToFloats();
        int size = basis.RankU * basis.RankV;
        var sigmas = new Sigma[factors.Count];
        for (int i = 0; i < sigmas.Length; i++)
            sigmas[i] = new Sigma(values[(i * size)..((i + 1) * size)], basis.RankU, basis.RankV, factors.Norms[i], errors[i]);
        return sigmas;
    }
}
