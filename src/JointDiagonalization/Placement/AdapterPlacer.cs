using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;

namespace Eigengate.JointDiagonalization.Placement;

/// <summary>
/// Tries a new adapter on the bases of a bundle, which were not fitted to it, so that its errors are honest where those
/// of members are optimistic (spec/joint-diagonalization.md §5 "Registering a new adapter"). Changes nothing.
/// </summary>
public static class AdapterPlacer
{
    /// <param name="bundle">A published bundle; its clusters are read one at a time.</param>
    /// <param name="adapter">An adapter of the same base model.</param>
    /// <param name="cancellation">Checked between modules.</param>
    /// <exception cref="AdapterFormatException">A module has another shape than in the bundle, or a weight is not finite.</exception>
    public static AdapterPlacement Place(Bundle bundle, PeftAdapter adapter, CancellationToken cancellation = default)
    {
        RequireSameShapes(bundle.Manifest, adapter);
        string[] modules = [.. adapter.Modules.Keys];
        var factors = new CanonicalFactors[modules.Length];
        try
        {
            Workers.For(modules.Length, m => factors[m] = CanonicalFactors.From([(0, adapter.ReadDelta(modules[m]))]), cancellation);
            var products = modules.Zip(factors).ToDictionary(p => p.First, p => p.Second);
            double[] errors = new double[bundle.Manifest.Clusters];
            Workers.For(errors.Length, c => errors[c] = Score(bundle, c, products, cancellation), cancellation);
            return On(bundle, Array.IndexOf(errors, errors.Min()), adapter.Id, products, cancellation);
        }
        finally
        {
            foreach (CanonicalFactors? product in factors)
                product?.Dispose();
        }
    }

    /// <summary>Summed error on one cluster, its bases read one at a time.</summary>
    private static double Score(Bundle bundle, int cluster, Dictionary<string, CanonicalFactors> products, CancellationToken cancellation)
    {
        bool diagonal = IsDiagonal(bundle);
        double error = products.Values.Count(p => p.Count > 0);
        foreach (var (module, basis) in bundle.StreamBasis(cluster))
        {
            cancellation.ThrowIfCancellationRequested();
            using (basis)
            {
                if (products.TryGetValue(module, out CanonicalFactors? product) && product.Count > 0)
                    error += ClusterScore.Error(product, basis, diagonal) - 1;
            }
        }

        return error;
    }

    private static bool IsDiagonal(Bundle bundle) => bundle.Manifest.Method == CompressionMethods.NameOf(CompressionMethod.Diagonal);

    private static AdapterPlacement On(
        Bundle bundle, int cluster, string adapter, Dictionary<string, CanonicalFactors> products, CancellationToken cancellation)
    {
        bool diagonal = IsDiagonal(bundle);
        var errors = new SortedDictionary<string, double>(StringComparer.Ordinal);
        List<string> withoutBasis = [];
        var basis = bundle.ReadBasis(cluster);
        try
        {
            foreach (var (module, factors) in products)
            {
                cancellation.ThrowIfCancellationRequested();
                if (factors.Count == 0)
                    continue;
                if (basis.TryGetValue(module, out SharedBasis? shared))
                {
                    Sigma[] cores = diagonal ? SigmaProjection.ProjectDiagonal(factors, shared) : SigmaProjection.Project(factors, shared);
                    errors.Add(module, cores[0].RelSqError);
                    continue;
                }

                errors.Add(module, 1);
                withoutBasis.Add(module);
            }
        }
        finally
        {
            foreach (SharedBasis shared in basis.Values)
                shared.Dispose();
        }

        return new AdapterPlacement(adapter, cluster, errors.Count == 0 ? 0 : errors.Values.Average(), errors, withoutBasis);
    }

    private static void RequireSameShapes(BundleManifest manifest, PeftAdapter adapter)
    {
        var shapes = manifest.Modules.ToDictionary(m => m.Path, m => new ModuleShape(m.DOut, m.DIn));
        BaseShapes.Check(adapter.Id, adapter.Modules.Values.Where(m => shapes.ContainsKey(m.Path)), shapes, "the bundle has");
    }
}
