using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>
/// When k·l &lt; d, the problem lives in k·l dimensions with no loss (spec/joint-diagonalization.md §6). Their axes are
/// taken from the eigenvectors of the stack's Gram matrix in float64, which are the HOSVD directions, strongest first: the
/// start and the certificate then cost nothing more. A side that is not reduced keeps its coordinates.
/// </summary>
internal sealed class ExactReduction : IDisposable
{
    private readonly Side _output;
    private readonly Side _input;
    private readonly bool _ownsFactors;

    /// <param name="factors">Products in full coordinates.</param>
    /// <param name="limit">Largest k·l that is reduced; 0 for none.</param>
    internal ExactReduction(CanonicalFactors factors, int limit = HigherOrderSvd.DenseLimit)
    {
        using var scope = NewDisposeScope();
        _output = Side.Of(factors.F, factors.BatchedG, limit);
        _input = Side.Of(factors.G, factors.BatchedF, limit);
        _ownsFactors = _output.Lift is not null || _input.Lift is not null;
        Factors = !_ownsFactors
            ? factors
            : new CanonicalFactors(
                _output.Lift is null ? factors.F.alias() : _output.Rows,
                _input.Lift is null ? factors.G.alias() : _input.Rows,
                factors.Width,
                [.. factors.Owners],
                [.. factors.Norms],
                []);
        _output.Lift?.DetachFromDisposeScope();
        _input.Lift?.DetachFromDisposeScope();
    }

    /// <summary>The products in reduced coordinates.</summary>
    internal CanonicalFactors Factors { get; }

    internal Tensor LowerU(Tensor u) => _output.Lower(u);

    internal Tensor LowerV(Tensor v) => _input.Lower(v);

    /// <summary>Basis of the full space, float64 where the side is reduced; orthonormal but for rounding in weak directions.</summary>
    internal Tensor LiftU(Tensor u) => _output.Raise(u);

    internal Tensor LiftV(Tensor v) => _input.Raise(v);

    /// <summary>The HOSVD of the output side in reduced coordinates, or null where they are the full ones.</summary>
    internal HigherOrderSvd? OutputStart(int rank) => _output.Start(rank);

    internal HigherOrderSvd? InputStart(int rank) => _input.Start(rank);

    public void Dispose()
    {
        if (_ownsFactors)
            Factors.Dispose();
        _output.Lift?.Dispose();
        _input.Lift?.Dispose();
    }

    /// <param name="Rows">[k·l, n]: rows in reduced coordinates.</param>
    /// <param name="Lift">[d, n], float64; null when the side is not reduced.</param>
    /// <param name="Values">Eigenvalues of the side's HOSVD operator, falling.</param>
    private sealed record Side(Tensor Rows, Tensor? Lift, double[] Values)
    {
        /// <param name="rows">R [k·l, d]</param>
        /// <param name="other">The other side's rows [k, l, d'], whose Grams K_i weigh this side's: T = Σ R_iᵀK_iR_i.</param>
        internal static Side Of(Tensor rows, Tensor other, int limit)
        {
            long count = other.shape[0], width = other.shape[1], n = rows.shape[0];
            if (n >= rows.shape[1] || n > limit)
                return new Side(rows, null, []);
            // With K_i = H_iH_iᵀ, T = SᵀS for S_i = H_iᵀR_i, and SSᵀ = HᵀRRᵀH = E Λ Eᵀ; the axes are P = Sᵀ E Λ^(-1/2).
            Tensor wide = rows.to(ScalarType.Float64);
            Tensor roots = Roots(TensorMath.RowGrams(other.to(ScalarType.Float64)));
            Tensor gram = wide.mm(wide.t());
            Tensor left = Blocks(roots.transpose(1, 2), gram);
            var (vectors, values) = TensorMath.LargestEigenvectors(Blocks(roots.transpose(1, 2), left.t()), (int)n);
            int kept = Math.Max(1, values.Count(v => v > HigherOrderSvd.RankTolerance * values[0]));
            Tensor scales = tensor(values[..kept]).to(rows.device).rsqrt();
            Tensor axes = Blocks(roots, vectors.narrow(1, 0, kept)) * scales;
            return new Side(gram.mm(axes).to(rows.dtype), wide.t().mm(axes), [.. values[..kept].Select(v => Math.Max(0, v))]);

            Tensor Blocks(Tensor blocks, Tensor matrix) => blocks.bmm(matrix.reshape(count, width, -1)).view(n, -1);
        }

        internal Tensor Lower(Tensor basis) => Lift is null ? basis : Lift.t().mm(basis.to(ScalarType.Float64)).to(basis.dtype);

        internal Tensor Raise(Tensor basis) => Lift is null ? basis : Lift.mm(basis.to(ScalarType.Float64));

        internal HigherOrderSvd? Start(int rank)
        {
            if (Lift is null)
                return null;
            int kept = Math.Min(rank, Values.Length);
            Tensor axes = eye(Values.Length, kept, Rows.dtype, Rows.device);
            return new HigherOrderSvd(axes, Values.Skip(kept).Sum());
        }

        private static Tensor Roots(Tensor grams)
        {
            var (values, vectors) = linalg.eigh(grams);
            return vectors * values.AtLeast(0).sqrt().unsqueeze(1);
        }
    }
}
