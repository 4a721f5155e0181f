using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;

namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>Relative squared error of what a bundle on disk serves, against the adapter on disk, in dense float64.</summary>
internal static class ServedError
{
    internal static double Of(Bundle bundle, PeftAdapter adapter, string module)
    {
        double[,] product = Dense.Product(adapter.ReadDelta(module));
        return Dense.SquaredDistance(product, Delta(bundle, adapter.Id, module)) / Dense.SquaredNorm(product);
    }

    /// <summary>U Σ Vᵀ + P Qᵀ as the bundle's files hold them.</summary>
    internal static double[,] Delta(Bundle bundle, string adapter, string module)
    {
        var basis = bundle.ReadBasis(bundle.Adapter(adapter).Cluster);
        try
        {
            BundleModule shape = bundle.Manifest.Modules.Single(m => m.Path == module);
            double[,] delta = new double[shape.DOut, shape.DIn];
            if (bundle.ReadCores(adapter).TryGetValue(module, out CoreMatrix? core))
            {
                delta = Dense.Multiply(
                    Dense.Multiply(Dense.From(basis[module].U), Dense.From(core.Values, core.RankU, core.RankV)),
                    Dense.Transpose(Dense.From(basis[module].V)));
            }

            if (bundle.ReadResiduals(adapter).TryGetValue(module, out PrivateResidual? residual))
            {
                double[,] low = Dense.Multiply(
                    Dense.From(residual.P, residual.OutFeatures, residual.Rank), Dense.Transpose(Dense.From(residual.Q, residual.InFeatures, residual.Rank)));
                for (int i = 0; i < shape.DOut; i++)
                {
                    for (int j = 0; j < shape.DIn; j++)
                        delta[i, j] += low[i, j];
                }
            }

            return delta;
        }
        finally
        {
            foreach (SharedBasis shared in basis.Values)
                shared.Dispose();
        }
    }
}
