using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>Relative squared errors of cores that are not the best ones: rounded in storage, or not the adapter's own.</summary>
internal static class CoreError
{
    /// <summary>
    /// What rounding adds to the error of each least-squares core, ‖U(Σ′ − Σ)Vᵀ‖²/‖M‖²: that difference lies in the space the
    /// best core was chosen from, so it is orthogonal to what was missed before.
    /// </summary>
    internal static double[] OfRounding(SharedBasis basis, IReadOnlyList<Sigma> best, Tensor served)
    {
        using var scope = NewDisposeScope();
        Tensor exact = Stack([.. best.Select(s => s.Values)], best[0].RankU, best[0].RankV).to(served.device);
        Tensor difference = (served - exact).to(ScalarType.Float64);
        Tensor norms = tensor(best.Select(s => s.Norm).ToArray()).to(served.device).view(-1, 1, 1);
        return Energies(basis, difference / norms).ToDoubles();
    }

    /// <summary>‖M̂ − UΣVᵀ‖² of each product for the cores given, [k, r_U, r_V], norms folded in; may exceed 1.</summary>
    internal static double[] Of(CanonicalFactors factors, SharedBasis basis, Tensor served)
    {
        using var scope = NewDisposeScope();
        var (qu, ru) = linalg.qr(basis.U.to(ScalarType.Float64));
        var (qv, rv) = linalg.qr(basis.V.to(ScalarType.Float64));
        using var orthonormal = new SharedBasis(qu.to(factors.F.dtype), qv.to(factors.G.dtype));
        Tensor best = ReconstructionError.Projected(factors.F, orthonormal.U, factors).transpose(1, 2)
            .bmm(ReconstructionError.Projected(factors.G, orthonormal.V, factors));
        Tensor norms = tensor(factors.Norms.ToArray()).to(served.device).view(-1, 1, 1);
        double[] inside = (best - ru.matmul(served.to(ScalarType.Float64) / norms).matmul(rv.t())).Squared().sum(new long[] { 1, 2 }).ToDoubles();
        return [.. ReconstructionError.Of(factors, orthonormal).Zip(inside, (outside, rest) => outside + rest)];
    }

    /// <summary>Cores as one tensor [k, r_U, r_V]; diagonals are expanded.</summary>
    internal static Tensor Stack(float[][] cores, int rankU, int rankV)
    {
        int size = cores[0].Length;
        float[] all = new float[(long)cores.Length * size];
        for (int i = 0; i < cores.Length; i++)
            cores[i].CopyTo(all.AsSpan(i * size));
        Tensor stacked = tensor(all);
        return size == rankU * rankV ? stacked.view(-1, rankU, rankV) : diag_embed(stacked.view(-1, rankU));
    }

    /// <summary>‖UXVᵀ‖² of each X [k, r_U, r_V], through the Grams of the bases.</summary>
    private static Tensor Energies(SharedBasis basis, Tensor x)
    {
        Tensor u = basis.U.to(ScalarType.Float64), v = basis.V.to(ScalarType.Float64);
        return (u.t().mm(u).matmul(x).matmul(v.t().mm(v)) * x).sum(new long[] { 1, 2 });
    }
}
