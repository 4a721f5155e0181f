using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>Where the alternation begins: given bases, HOSVD, members, the SVD of the mean product, random bases (spec/joint-diagonalization.md §3).</summary>
internal sealed class FitStarts(CanonicalFactors factors, ExactReduction reduction, FitOptions options)
{
    private const int MeanPasses = 4;

    /// <summary>Dense eigensolves of this size cost less than the iteration they replace.</summary>
    private const int UncertifiedDenseLimit = 128;

    private readonly int _rankU = Math.Min(options.RankU, factors.OutFeatures);
    private readonly int _rankV = Math.Min(options.RankV, factors.InFeatures);
    private (Tensor U, Tensor V)? _hosvd;

    /// <summary>At most the sum of the eigenvalues beyond the rank on either side; NaN where the start was given and HOSVD not needed.</summary>
    internal (double U, double V) Tails { get; private set; } = (double.NaN, double.NaN);

    /// <summary>A basis that was given, cut to the ranks or filled up with HOSVD directions.</summary>
    internal (Tensor U, Tensor V) From(SharedBasis given)
    {
        if (reduction.OutputStart(_rankU) is { } output && reduction.InputStart(_rankV) is { } input)
            Tails = (output.Tail, input.Tail);
        if (given.RankU >= _rankU && given.RankV >= _rankV)
            return (Leading(reduction.LowerU(given.U), _rankU), Leading(reduction.LowerV(given.V), _rankV));
        var (u, v) = Hosvd();
        return (Padded(reduction.LowerU(given.U), u, _rankU), Padded(reduction.LowerV(given.V), v, _rankV));
    }

    /// <summary>Computed once; sets <see cref="Tails"/>.</summary>
    internal (Tensor U, Tensor V) Hosvd()
    {
        if (_hosvd is { } known)
            return known;
        int denseLimit = options.Certify ? HigherOrderSvd.DenseLimit : UncertifiedDenseLimit;
        HigherOrderSvd output = reduction.OutputStart(_rankU) ?? HigherOrderSvd.OutputSide(factors, _rankU, options.Seed, denseLimit);
        HigherOrderSvd input = reduction.InputStart(_rankV) ?? HigherOrderSvd.InputSide(factors, _rankV, options.Seed, denseLimit);
        Tails = (output.Tail, input.Tail);
        _hosvd = (output.Basis, input.Basis);
        return _hosvd.Value;
    }

    /// <param name="served">Of each product by HOSVD, see <see cref="Alternation.Captured"/>.</param>
    internal (Tensor U, Tensor V) Members(double[] served) => WidthsOfHosvd(MemberStart.Choose(factors, _rankU, _rankV, served));

    /// <summary>What was asked for beyond the default: the mean product, then random bases.</summary>
    internal IEnumerable<(Tensor U, Tensor V)> Restarts()
    {
        for (int restart = 1; restart <= options.Restarts; restart++)
            yield return WidthsOfHosvd(restart == 1 ? MeanProduct() : (Random(factors.F, _rankU, (2 * restart) + 1), Random(factors.G, _rankV, 2 * restart)));
    }

    private (Tensor U, Tensor V) WidthsOfHosvd((Tensor U, Tensor V) start)
    {
        var (u, v) = Hosvd();
        return (Padded(start.U, u, (int)u.shape[1]), Padded(start.V, v, (int)v.shape[1]));
    }

    /// <summary>Leading singular vectors of Σ M̂_i = FᵀG by subspace iteration.</summary>
    private (Tensor U, Tensor V) MeanProduct()
    {
        int width = Math.Min(Math.Max(_rankU, _rankV) + 8, Math.Min(factors.OutFeatures, factors.InFeatures));
        Tensor v = Random(factors.G, width, 1), u = v;
        for (int pass = 0; pass < MeanPasses; pass++)
        {
            u = TensorMath.Orthonormalise(factors.F.t().mm(factors.G.mm(v))).to(factors.F.dtype);
            v = TensorMath.Orthonormalise(factors.G.t().mm(factors.F.mm(u))).to(factors.G.dtype);
        }

        var (x, _, yt) = linalg.svd(factors.F.mm(u).t().mm(factors.G.mm(v)).to(ScalarType.Float64), fullMatrices: false);
        return (
            u.mm(x.narrow(1, 0, Math.Min(width, _rankU)).to(u.dtype)),
            v.mm(yt.t().narrow(1, 0, Math.Min(width, _rankV)).to(v.dtype)));
    }

    private Tensor Random(Tensor rows, int columns, int restart)
    {
        Tensor gaussian = HigherOrderSvd.RandomColumns((int)rows.shape[1], columns, options.Seed, RandomPurpose.Restart, restart);
        return TensorMath.Orthonormalise(gaussian.to(rows.device)).to(rows.dtype);
    }

    private static Tensor Leading(Tensor basis, int rank) =>
        TensorMath.Orthonormalise(basis).narrow(1, 0, rank).contiguous().to(basis.dtype);

    /// <summary>The start's directions first, filled up with the leading HOSVD directions.</summary>
    private static Tensor Padded(Tensor start, Tensor fill, int rank)
    {
        Tensor q = TensorMath.Orthonormalise(cat([start.to(fill.dtype), fill], 1));
        return q.narrow(1, 0, Math.Min(rank, q.shape[1])).contiguous().to(fill.dtype);
    }
}
