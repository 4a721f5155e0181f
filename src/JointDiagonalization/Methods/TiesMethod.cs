using Eigengate.JointDiagonalization.Storage;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>
/// The merging baseline: one delta for all adapters, cut to the rank asked for. It is stored as a basis with the same
/// diagonal core, its singular values, for every adapter, also for those without this module.
/// </summary>
internal sealed class TiesMethod(CompressorOptions options, StorageForm form) : IModuleMethod
{
    public FittedModule Fit(string path, CanonicalFactors factors, IReadOnlyList<int> clusterOf, CancellationToken cancellation)
    {
        var module = new FittedModule { LowerBound = double.NaN, TailU = double.NaN, TailV = double.NaN };
        if (factors.Count == 0)
            return module;
        using var scope = NewDisposeScope();
        Tensor merged = TiesMerge.Merge(factors, options.Keep, options.MergeScale, cancellation);
        var (u, s, v) = TruncatedSvd.OfDense(merged, options.RankU, options.Seed);
        using var basis = new SharedBasis(u, v);
        using SharedBasis stored = form.Rounded(basis);
        module.Add(0, stored, form.DType);

        StoredTensor core = StoredTensor.Of(s, form.CoreDType, s.Length);
        Tensor served = CoreError.Stack([core.Widen()], s.Length, s.Length).to(factors.F.device).expand(factors.Count, -1, -1);
        double[] errors = CoreError.Of(factors, stored, served);
        var position = factors.Owners.Index().ToDictionary(o => o.Item, o => o.Index);
        for (int adapter = 0; adapter < clusterOf.Count; adapter++)
        {
            module.Products.Add(position.TryGetValue(adapter, out int p)
                ? new StoredProduct(adapter, factors.Norms[p], errors[p], core, null)
                : new StoredProduct(adapter, 0, 0, core, null));
        }

        return module;
    }
}
