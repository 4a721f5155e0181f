using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Methods;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.JointDiagonalization.Storage;

namespace Eigengate.JointDiagonalization.Placement;

/// <summary>
/// Tries a new adapter on the bases of a bundle, which were not fitted to it, so that its errors are honest where those
/// of members are optimistic (spec/joint-diagonalization.md §5 "Registering a new adapter"). It is given what members have:
/// a core and, where the bundle has them, a private residual, both rounded; of a merged bundle, the merge. Changes nothing.
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
            // A private residual may turn the order of the clusters round, and there are no small products for it.
            if (bundle.Manifest.Residual > 0)
                return Enumerable.Range(0, bundle.Manifest.Clusters).Select(c => On(bundle, c, adapter.Id, products, cancellation)).MinBy(p => p.RelSqError)!;
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

    /// <summary>What a placed adapter would store, ready to be added to the bundle with <see cref="BundleExtension"/>.</summary>
    /// <param name="bundle">The bundle of the placement.</param>
    /// <param name="adapter">The adapter of the placement.</param>
    /// <param name="placement">See <see cref="Place"/>.</param>
    /// <param name="cancellation">Checked between modules.</param>
    /// <exception cref="ArgumentException">The bundle is a merge, which serves one change under every name.</exception>
    public static AddedAdapter Realise(Bundle bundle, PeftAdapter adapter, AdapterPlacement placement, CancellationToken cancellation = default)
    {
        if (bundle.Manifest.Method == CompressionMethods.NameOf(CompressionMethod.Ties))
            throw new ArgumentException("a merged bundle serves one change under every name; nothing can be added to it");
        StorageForm form = StorageForm.Of(bundle.Manifest);
        var known = bundle.Manifest.Modules.Select(m => m.Path).ToHashSet(StringComparer.Ordinal);
        var products = new SortedDictionary<string, StoredProduct>(StringComparer.Ordinal);
        foreach (string module in adapter.Modules.Keys)
        {
            cancellation.ThrowIfCancellationRequested();
            using CanonicalFactors factors = CanonicalFactors.From([(0, adapter.ReadDelta(module))]);
            using SharedBasis? basis = bundle.ReadBasis(placement.Cluster, module);
            if (factors.Count == 0 && basis is not null)
                products.Add(module, ProductEncoder.Zero(0, basis, form));
            else if (factors.Count > 0 && known.Contains(module))
                products.Add(module, ProductEncoder.Encode(factors, basis, form, cancellation)[0]);
            else if (factors.Count > 0)
                products.Add(module, new StoredProduct(0, factors.Norms[0], 1, null, null));
        }

        return new AddedAdapter(adapter.Id, placement.Cluster, adapter.ComputeDigest(), adapter.Rank, products)
        {
            SourceBytes = adapter.WeightBytes,
            SourceNumbers = adapter.Modules.Values.Sum(m => m.A.Count + m.B.Count),
        };
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
        StorageForm form = StorageForm.Of(bundle.Manifest);
        var merged = bundle.Manifest.Method == CompressionMethods.NameOf(CompressionMethod.Ties)
            ? bundle.ReadCores(bundle.Manifest.Adapters[0].Id)
            : null;
        var errors = new SortedDictionary<string, double>(StringComparer.Ordinal);
        List<string> withoutBasis = [];
        var known = bundle.Manifest.Modules.Select(m => m.Path).ToHashSet(StringComparer.Ordinal);
        var basis = bundle.ReadBasis(cluster);
        try
        {
            foreach (var (module, factors) in products)
            {
                cancellation.ThrowIfCancellationRequested();
                if (factors.Count == 0)
                    continue;
                SharedBasis? shared = basis.GetValueOrDefault(module);
                if (shared is null && (form.Residual == 0 || !known.Contains(module)))
                {
                    errors.Add(module, 1);
                    withoutBasis.Add(module);
                    continue;
                }

                errors.Add(module, merged is null
                    ? ProductEncoder.Encode(factors, shared, form, cancellation)[0].RelSqError
                    : CoreError.Of(factors, shared!, CoreError.Stack([merged[module].Values], shared!.RankU, shared.RankV))[0]);
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
