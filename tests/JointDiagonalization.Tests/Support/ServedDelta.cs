using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>What a bundle on disk serves in one module without private residuals, dense float64.</summary>
internal static class ServedDelta
{
    /// <summary>U Σ Vᵀ</summary>
    internal static double[,] OfCore(Bundle bundle, string adapter, string module)
    {
        using SharedBasis basis = bundle.ReadBasis(bundle.Adapter(adapter).Cluster, module)!;
        CoreMatrix core = bundle.ReadCores(adapter)[module];
        return Dense.Multiply(
            Dense.Multiply(Dense.From(basis.U), Dense.From(core.Values, core.RankU, core.RankV)), Dense.Transpose(Dense.From(basis.V)));
    }
}
