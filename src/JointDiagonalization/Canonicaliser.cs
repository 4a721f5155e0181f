using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// Canonical factors of a batch of products of one module, in float64 (spec/joint-diagonalization.md §1): with B = Q R and
/// Aᵀ = P T, the small s R Tᵀ = X S Yᵀ gives F = Q X S/n and G = P Y. Q and P come from the Cholesky factors of BᵀB and
/// A Aᵀ, columns brought to norm 1 first; factors with nearly dependent columns take Householder QR instead.
/// </summary>
internal static class Canonicaliser
{
    /// <summary>Least squared pivot of a Gram matrix of unit columns; Q then is orthonormal to about 1e-11.</summary>
    private const double LeastPivot = 1e-5;

    /// <param name="b">[n, d_out, l]</param>
    /// <param name="a">[n, l, d_in]</param>
    /// <param name="scales">[n], float64</param>
    /// <returns>F [n, w, d_out], G [n, w, d_in], norms [n], all float64, w = min(l, d_out, d_in); products of norm 0 give zero rows.</returns>
    internal static (Tensor F, Tensor G, Tensor Norms) Factor(Tensor b, Tensor a, Tensor scales)
    {
        Tensor wideB = b.to(ScalarType.Float64), wideA = a.to(ScalarType.Float64);
        if (a.shape[1] > Math.Min(b.shape[1], a.shape[2]))
            return ByHouseholder(wideB, wideA, scales);

        var (lowerB, normsB, soundB) = UnitCholesky(wideB.transpose(1, 2).bmm(wideB));
        var (lowerA, normsA, soundA) = UnitCholesky(wideA.bmm(wideA.transpose(1, 2)));
        // B = Q LᵦᵀDᵦ and Aᵀ = P LₐᵀDₐ, D the column norms.
        Tensor small = (lowerB.transpose(1, 2) * (normsB * normsA).unsqueeze(1)).bmm(lowerA);
        var (x, unit, y, live, norms) = SingularParts(small * scales.view(-1, 1, 1));
        Tensor f = Coefficients(lowerB, normsB, x * unit).bmm(wideB.transpose(1, 2));
        Tensor g = Coefficients(lowerA, normsA, y * live).bmm(wideA);

        Tensor dependent = soundB.logical_and(soundA).logical_not().nonzero().view(-1);
        if (dependent.shape[0] > 0)
        {
            var (otherF, otherG, otherNorms) = ByHouseholder(
                wideB.index_select(0, dependent), wideA.index_select(0, dependent), scales.index_select(0, dependent));
            f.index_copy_(0, dependent, otherF);
            g.index_copy_(0, dependent, otherG);
            norms.index_copy_(0, dependent, otherNorms);
        }

        return (f, g, norms);
    }

    /// <summary>The Cholesky factor after scaling to a unit diagonal, the column norms [n, l], and whether Q can be had from it.</summary>
    private static (Tensor Lower, Tensor Norms, Tensor Sound) UnitCholesky(Tensor gram)
    {
        Tensor norms = gram.diagonal(0, 1, 2).sqrt();
        Tensor inverse = Reciprocal(norms);
        // A zero column is orthogonal to all: one on the diagonal keeps it so.
        Tensor unit = (gram * inverse.unsqueeze(1) * inverse.unsqueeze(2)).Plus(diag_embed(norms.IsZero().to(ScalarType.Float64), 0, 1, 2));
        var (lower, info) = linalg.cholesky_ex(unit);
        Tensor sound = info.IsZero().logical_and(lower.diagonal(0, 1, 2).Squared().amin([1L]).IsAtLeast(LeastPivot));
        Tensor identity = eye(gram.shape[1], dtype: ScalarType.Float64, device: gram.device).unsqueeze(0);
        return (where(sound.view(-1, 1, 1), lower, identity), norms, sound);
    }

    /// <summary>(D⁻¹ L⁻ᵀ Z)ᵀ: times the columns of the original factor, it gives Q Z.</summary>
    private static Tensor Coefficients(Tensor lower, Tensor norms, Tensor z) =>
        (linalg.solve_triangular(lower.transpose(1, 2), z, upper: true) * Reciprocal(norms).unsqueeze(2)).transpose(1, 2);

    private static (Tensor F, Tensor G, Tensor Norms) ByHouseholder(Tensor b, Tensor a, Tensor scales)
    {
        long width = Math.Min(a.shape[1], Math.Min(b.shape[1], a.shape[2]));
        var (q, r) = linalg.qr(b);
        var (p, t) = linalg.qr(a.transpose(1, 2));
        var (x, unit, y, live, norms) = SingularParts(scales.view(-1, 1, 1) * r.bmm(t.transpose(1, 2)));
        return (q.bmm(x * unit).transpose(1, 2).narrow(1, 0, width), p.bmm(y * live).transpose(1, 2).narrow(1, 0, width), norms);
    }

    /// <summary>X, S/n [n, 1, l], Y, which singular values count [n, 1, l], and n of X S Yᵀ.</summary>
    private static (Tensor X, Tensor Unit, Tensor Y, Tensor Live, Tensor Norms) SingularParts(Tensor small)
    {
        var (x, s, yt) = linalg.svd(small, fullMatrices: false);
        Tensor norms = s.Squared().sum(1).sqrt();
        Tensor live = s.gt(s.narrow(1, 0, 1).Times(CanonicalFactors.RankTolerance)).to(ScalarType.Float64);
        Tensor unit = s * live / norms.AtLeast(double.Epsilon).unsqueeze(1);
        return (x, unit.unsqueeze(1), yt.transpose(1, 2), live.unsqueeze(1), norms);
    }

    private static Tensor Reciprocal(Tensor norms) => where(norms.IsAbove(0), norms.AtLeast(double.Epsilon).reciprocal(), zeros_like(norms));
}
