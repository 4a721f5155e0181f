using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting.Diagonal;

/// <summary>
/// Alternating least squares for min Σ ‖M̂_i − U diag(d_i) Vᵀ‖² (spec/joint-diagonalization.md §4). Each of the three
/// systems is solved with a small proximal term towards the value it replaces: it keeps singular Gram matrices solvable
/// (a dead column stays as it is) and, unlike a ridge towards zero, never increases the error.
/// </summary>
internal sealed class DiagonalAlternation(CanonicalFactors factors)
{
    private const double Proximal = 1e-10;

    // Rounding of a Cholesky factorisation grows with r² against the mean of the diagonal.
    private const double ProximalPerSquaredRank = 1e-15;

    /// <summary>k</summary>
    internal int Count => factors.Count;

    /// <summary>The best cores on unit-column bases U [d_out, r], V [d_in, r] (float64).</summary>
    internal DiagonalState StateOf(Tensor u, Tensor v)
    {
        using var scope = NewDisposeScope();
        return WithCores(u.alias(), v.alias(), zeros([factors.Count, u.shape[1]], ScalarType.Float64, u.device)).MoveToOuterScope();
    }

    /// <summary>U, V and the cores once each, columns normalised.</summary>
    internal DiagonalState Sweep(DiagonalState state)
    {
        using var scope = NewDisposeScope();
        var (u, uNorms) = UnitColumns(Basis(factors.F, Products(factors.G, state.V), state.V, state.D, state.U));
        Tensor d = state.D * uNorms;
        var (v, vNorms) = UnitColumns(Basis(factors.G, Products(factors.F, u), u, d, state.V));
        return WithCores(u, v, d * vNorms).MoveToOuterScope();
    }

    /// <summary>d_i = H⁻¹ b_i with H = (UᵀU)∘(VᵀV), b_i = diag(UᵀM̂_iV), and the error ‖M̂_i‖² − 2 b_iᵀd_i + d_iᵀHd_i.</summary>
    private DiagonalState WithCores(Tensor u, Tensor v, Tensor previous)
    {
        Tensor b = (Products(factors.F, u) * Products(factors.G, v)).sum(1);
        Tensor h = u.t().mm(u) * v.t().mm(v);
        Tensor d = Solve(h, b, previous);
        double error = factors.Count + ((d.mm(h) * d) - (2 * b * d)).sum().item<double>();
        return new DiagonalState(u, v, d, Math.Max(0, error), d.abs().max().item<double>());
    }

    /// <summary>
    /// The best basis [d, r] of one side: R_stack · (P_i diag d_i stacked) · [(QᵀQ)∘(DᵀD)]⁻¹, with Q the other basis and
    /// P_i [l, r] the other side's rows times Q.
    /// </summary>
    private static Tensor Basis(Tensor rows, Tensor otherProducts, Tensor other, Tensor d, Tensor previous)
    {
        Tensor weighted = (otherProducts * d.unsqueeze(1)).view(-1, d.shape[1]).to(rows.dtype);
        Tensor right = rows.t().mm(weighted).to(ScalarType.Float64);
        return Solve(other.t().mm(other) * d.t().mm(d), right, previous);
    }

    /// <summary>X [n, r] of min ‖X S − right‖ in the sense of the normal equations, held near <paramref name="previous"/>.</summary>
    private static Tensor Solve(Tensor s, Tensor right, Tensor previous)
    {
        long rank = s.shape[0];
        double weight = Math.Max(Proximal, rank * rank * ProximalPerSquaredRank) * Math.Max(s.trace().item<double>() / rank, double.Epsilon);
        Tensor lower = linalg.cholesky(s + (weight * eye(rank, dtype: ScalarType.Float64, device: s.device)));
        return cholesky_solve((right + (weight * previous)).t(), lower).t();
    }

    private static (Tensor Unit, Tensor Norms) UnitColumns(Tensor basis)
    {
        Tensor norms = basis.square().sum(dim: 0).sqrt().clamp_min(TensorMath.Smallest);
        return (basis / norms, norms);
    }

    /// <summary>Stacked rows times a basis: [k, l, r] in float64.</summary>
    private Tensor Products(Tensor rows, Tensor basis) => ReconstructionError.Projected(rows, basis.to(rows.dtype), factors);
}
