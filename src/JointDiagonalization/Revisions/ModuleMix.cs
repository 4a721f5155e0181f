using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Storage;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Revisions;

/// <summary>An adapter in a mix, with what the bundle has of it.</summary>
internal sealed record Ingredient(
    double Weight,
    BundleAdapter Adapter,
    ReportAdapter? Report,
    IReadOnlyDictionary<string, CoreMatrix> Cores,
    IReadOnlyDictionary<string, PrivateResidual> Residuals);

/// <summary>
/// The weighted sum of what adapters serve in one module, stored in the form of the bundle. Everything is float64 until it
/// is stored; what storage rounds or cuts off is counted as lost.
/// </summary>
internal static class ModuleMix
{
    internal static StoredProduct Of(IReadOnlyList<Ingredient> ingredients, string module, SharedBasis? basis, StorageForm form)
    {
        using var scope = NewDisposeScope();
        double lost = 0;
        StoredTensor? core = basis is null ? null : MixCores(ingredients, module, basis, form, ref lost);
        StoredPair? residual = MixResiduals(ingredients, module, form, ref lost);
        foreach (Ingredient part in ingredients)
            lost += Math.Abs(part.Weight) * LostNorm(part, module, Served(part.Cores.GetValueOrDefault(module), part.Residuals.GetValueOrDefault(module), basis));
        double served = Served(core is null ? null : CoreMatrix.From(core), residual is null ? null : PrivateResidual.From(residual), basis);
        return new StoredProduct(0, served, served == 0 ? 0 : ErrorBound(served, lost, orthogonal: residual is null), core, residual);
    }

    /// <summary>
    /// lost² / ‖M‖². What cores alone lose is orthogonal to all that these bases can serve, so ‖M‖² = served² + lost². With
    /// residuals only ‖M‖ ≥ served − lost is sure; 1 says that this says nothing.
    /// </summary>
    private static double ErrorBound(double served, double lost, bool orthogonal)
    {
        if (lost == 0)
            return 0;
        if (orthogonal)
            return lost * lost / ((served * served) + (lost * lost));
        return served > 2 * lost ? lost * lost / ((served - lost) * (served - lost)) : 1;
    }

    private static StoredTensor MixCores(IReadOnlyList<Ingredient> ingredients, string module, SharedBasis basis, StorageForm form, ref double lost)
    {
        Tensor sum = zeros(basis.RankU, basis.RankV, dtype: ScalarType.Float64);
        foreach (Ingredient part in ingredients.Where(i => i.Cores.ContainsKey(module)))
            sum.AddInPlace(Sigma(part.Cores[module]).Times(part.Weight));
        StoredTensor stored = form.Diagonal
            ? StoredTensor.Of(sum.diagonal().ToFloats(), form.CoreDType, basis.RankU)
            : StoredTensor.Of(sum.ToFloats(), form.CoreDType, basis.RankU, basis.RankV);
        lost += Math.Sqrt(Energy(Sigma(CoreMatrix.From(stored)) - sum, basis));
        return stored;
    }

    /// <summary>The largest singular pairs of Σ_j w_j P_jQ_jᵀ, as many as the bundle keeps, through thin QR of both stacks.</summary>
    private static StoredPair? MixResiduals(IReadOnlyList<Ingredient> ingredients, string module, StorageForm form, ref double lost)
    {
        (double Weight, PrivateResidual Pair)[] parts = [.. ingredients.Where(i => i.Residuals.ContainsKey(module)).Select(i => (i.Weight, i.Residuals[module]))];
        if (parts.Length == 0)
            return null;
        var (left, r) = linalg.qr(cat([.. parts.Select(p => Matrix(p.Pair.P, p.Pair.OutFeatures, p.Pair.Rank).mul(tensor(p.Weight, dtype: ScalarType.Float64)))], 1));
        var (right, t) = linalg.qr(cat([.. parts.Select(p => Matrix(p.Pair.Q, p.Pair.InFeatures, p.Pair.Rank))], 1));
        var (x, s, yt) = linalg.svd(r.mm(t.t()), fullMatrices: false);
        double[] values = s.ToDoubles();
        int kept = Math.Min(form.Residual, values.Count(v => v > CanonicalFactors.RankTolerance * values[0]));
        if (kept == 0)
            return null;
        Tensor p = left.mm(x.narrow(1, 0, kept)) * s.narrow(0, 0, kept), q = right.mm(yt.narrow(0, 0, kept).t());
        StoredTensor storedP = StoredTensor.Of(p.ToFloats(), form.DType, p.shape), storedQ = StoredTensor.Of(q.ToFloats(), form.DType, q.shape);
        Tensor roundedP = Matrix(storedP.Widen(), (int)p.shape[0], kept), roundedQ = Matrix(storedQ.Widen(), (int)q.shape[0], kept);
        // ‖PQᵀ − P′Q′ᵀ‖ ≤ ‖P − P′‖ + ‖P′(Q − Q′)ᵀ‖, the columns of Q being orthonormal.
        lost += Math.Sqrt(values.Skip(kept).Sum(v => v * v)) + (p - roundedP).norm().item<double>()
            + (roundedP.norm().item<double>() * (q - roundedQ).norm().item<double>());
        return new StoredPair(storedP, storedQ);
    }

    /// <summary>‖UΣVᵀ + PQᵀ‖</summary>
    private static double Served(CoreMatrix? core, PrivateResidual? residual, SharedBasis? basis)
    {
        double energy = core is null ? 0 : Energy(Sigma(core), basis!);
        if (residual is null)
            return Math.Sqrt(energy);
        Tensor p = Matrix(residual.P, residual.OutFeatures, residual.Rank), q = Matrix(residual.Q, residual.InFeatures, residual.Rank);
        energy += (p.t().mm(p) * q.t().mm(q)).sum().item<double>();
        if (core is not null)
            energy += 2 * (basis!.U.to(ScalarType.Float64).t().mm(p).mm(q.t().mm(basis.V.to(ScalarType.Float64))) * Sigma(core)).sum().item<double>();
        return Math.Sqrt(Math.Max(0, energy));
    }

    /// <summary>
    /// ‖M − what is served‖ of an ingredient. What is served is the best of its form up to rounding, so the remainder is
    /// orthogonal to it and served² = ‖M‖²(1 − e). With nothing served, ‖M‖ is at most the norm over all modules.
    /// </summary>
    private static double LostNorm(Ingredient part, string module, double served)
    {
        double error = part.Report is null ? part.Adapter.RelSqError : part.Report.Modules.GetValueOrDefault(module);
        return error < 1 && served > 0 ? served * Math.Sqrt(error / (1 - error)) : error > 0 ? part.Adapter.Norm : 0;
    }

    /// <summary>‖UXVᵀ‖², through the Grams of U and V, which are not orthonormal under diagonal cores.</summary>
    private static double Energy(Tensor x, SharedBasis basis)
    {
        Tensor u = basis.U.to(ScalarType.Float64), v = basis.V.to(ScalarType.Float64);
        return Math.Max(0, (u.t().mm(u).mm(x).mm(v.t().mm(v)) * x).sum().item<double>());
    }

    private static Tensor Sigma(CoreMatrix core) => Matrix(core.Values, core.RankU, core.RankV);

    private static Tensor Matrix(float[] values, int rows, int columns) => tensor(values, [rows, columns]).to(ScalarType.Float64);
}
