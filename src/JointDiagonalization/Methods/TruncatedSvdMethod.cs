using Eigengate.JointDiagonalization.Storage;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>Each product alone, cut to its largest singular pairs: no basis, so all of it is private.</summary>
internal sealed class TruncatedSvdMethod(StorageForm form) : IModuleMethod
{
    public FittedModule Fit(string path, CanonicalFactors factors, IReadOnlyList<int> clusterOf, CancellationToken cancellation)
    {
        var module = new FittedModule();
        module.Products.AddRange(ProductEncoder.Encode(factors, null, form, cancellation));
        // No rank-t approximation is better (Eckart–Young).
        module.LowerBound = module.Products.Sum(p => p.RelSqError);
        (module.TailU, module.TailV) = (double.NaN, double.NaN);
        return module;
    }
}
