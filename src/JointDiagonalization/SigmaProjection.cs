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
        var (cores, ru, rv, errors) = InSpan(factors, basis);
        // U = Q R: the core on U is R⁻¹ (QᵀMQ) R⁻ᵀ.
        Tensor served = linalg.inv(ru).matmul(cores * NormsOf(factors, cores)).matmul(linalg.inv(rv).t());
        float[] values = served.ToFloats();
        int size = basis.RankU * basis.RankV;
        var sigmas = new Sigma[factors.Count];
        for (int i = 0; i < sigmas.Length; i++)
            sigmas[i] = new Sigma(values[(i * size)..((i + 1) * size)], basis.RankU, basis.RankV, factors.Norms[i], errors[i]);
        return sigmas;
    }

    /// <summary>
    /// Serving cores of all products that are diagonal, the best ones by least squares (§4 step 3). What the bases cannot
    /// hold and what the diagonal cannot are orthogonal, so their squared errors add up without cancellation.
    /// </summary>
    /// <exception cref="ArgumentException">U and V differ in their number of columns.</exception>
    public static Sigma[] ProjectDiagonal(CanonicalFactors factors, SharedBasis basis)
    {
        if (basis.RankU != basis.RankV)
            throw new ArgumentException($"diagonal cores need r_U = r_V; the basis has {basis.RankU} and {basis.RankV}", nameof(basis));
        using var scope = NewDisposeScope();
        int rank = basis.RankU;
        var (cores, ru, rv, errors) = InSpan(factors, basis);
        Tensor h = ru.t().mm(ru) * rv.t().mm(rv);
        Tensor b = ru.t().matmul(cores).matmul(rv).diagonal(0, 1, 2);
        Tensor d = DiagonalCores.Solve(h, b.t()).t();
        Tensor rest = cores - (ru * d.unsqueeze(1)).matmul(rv.t());
        double[] beyondDiagonal = rest.Squared().sum(new long[] { 1, 2 }).ToDoubles();
        float[] values = (d * NormsOf(factors, d).view(-1, 1)).ToFloats();
        var sigmas = new Sigma[factors.Count];
        for (int i = 0; i < sigmas.Length; i++)
        {
            sigmas[i] = new Sigma(values[(i * rank)..((i + 1) * rank)], rank, rank, factors.Norms[i], errors[i] + beyondDiagonal[i])
            {
                IsDiagonal = true,
            };
        }

        return sigmas;
    }

    /// <summary>
    /// In the spans of U = Q_U R_U and V = Q_V R_V: cores Q_UᵀM̂Q_V of unit products [k, r_U, r_V], the triangles, and what
    /// each product loses outside. All float64.
    /// </summary>
    private static (Tensor Cores, Tensor RU, Tensor RV, double[] Errors) InSpan(CanonicalFactors factors, SharedBasis basis)
    {
        var (qu, ru) = linalg.qr(basis.U.to(ScalarType.Float64));
        var (qv, rv) = linalg.qr(basis.V.to(ScalarType.Float64));
        using var orthonormal = new SharedBasis(qu.to(factors.F.dtype), qv.to(factors.G.dtype));
        double[] errors = ReconstructionError.Of(factors, orthonormal);

        Tensor z = ReconstructionError.Projected(factors.F, orthonormal.U, factors);
        Tensor w = ReconstructionError.Projected(factors.G, orthonormal.V, factors);
        return (z.transpose(1, 2).bmm(w), ru, rv, errors);
    }

    private static Tensor NormsOf(CanonicalFactors factors, Tensor like) => tensor(factors.Norms.ToArray()).to(like.device).view(-1, 1, 1);
}
