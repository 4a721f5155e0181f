using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;

namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>Relative squared error of what a bundle on disk serves, against the adapter on disk, in dense float64.</summary>
internal static class ServedError
{
    internal static double Of(Bundle bundle, PeftAdapter adapter, string module)
    {
        var basis = bundle.ReadBasis(bundle.Adapter(adapter.Id).Cluster);
        try
        {
            CoreMatrix core = bundle.ReadCores(adapter.Id)[module];
            double[,] served = Dense.Multiply(
                Dense.Multiply(Dense.From(basis[module].U), Dense.From(core.Values, core.RankU, core.RankV)),
                Dense.Transpose(Dense.From(basis[module].V)));
            double[,] product = Dense.Product(adapter.ReadDelta(module));
            return Dense.SquaredDistance(product, served) / Dense.SquaredNorm(product);
        }
        finally
        {
            foreach (SharedBasis shared in basis.Values)
                shared.Dispose();
        }
    }
}
