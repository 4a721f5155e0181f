using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Revisions;

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
        Dictionary<string, CanonicalFactors> products = [];
        try
        {
            foreach (string module in adapter.Modules.Keys)
            {
                cancellation.ThrowIfCancellationRequested();
                products.Add(module, CanonicalFactors.From([(0, adapter.ReadDelta(module))]));
            }

            AdapterPlacement? best = null;
            for (int cluster = 0; cluster < bundle.Manifest.Clusters; cluster++)
            {
                AdapterPlacement candidate = On(bundle, cluster, adapter.Id, products, cancellation);
                if (best is null || candidate.RelSqError < best.RelSqError)
                    best = candidate;
            }

            return best!;
        }
        finally
        {
            foreach (CanonicalFactors factors in products.Values)
                factors.Dispose();
        }
    }

    /// <summary>The cores of a placed adapter, ready to be added to the bundle with <see cref="BundleExtension"/>.</summary>
    /// <param name="bundle">The bundle of the placement.</param>
    /// <param name="adapter">The adapter of the placement.</param>
    /// <param name="placement">See <see cref="Place"/>.</param>
    /// <param name="cancellation">Checked between modules.</param>
    public static AddedAdapter Realise(Bundle bundle, PeftAdapter adapter, AdapterPlacement placement, CancellationToken cancellation = default)
    {
        bool diagonal = IsDiagonal(bundle);
        var cores = new SortedDictionary<string, Sigma>(StringComparer.Ordinal);
        var lost = new SortedDictionary<string, double>(StringComparer.Ordinal);
        foreach (string module in adapter.Modules.Keys)
        {
            cancellation.ThrowIfCancellationRequested();
            using CanonicalFactors factors = CanonicalFactors.From([(0, adapter.ReadDelta(module))]);
            using SharedBasis? basis = bundle.ReadBasis(placement.Cluster, module);
            if (basis is not null)
                cores.Add(module, factors.Count == 0 ? Zero(basis, diagonal) : Project(factors, basis, diagonal));
            else if (factors.Count > 0)
                lost.Add(module, factors.Norms[0]);
        }

        return new AddedAdapter(
            adapter.Id, placement.Cluster, adapter.ComputeDigest(), adapter.Rank, adapter.WeightBytes,
            adapter.Modules.Values.Sum(m => m.A.Count + m.B.Count), cores, lost);
    }

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
                    errors.Add(module, Project(factors, shared, diagonal).RelSqError);
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

    private static bool IsDiagonal(Bundle bundle) => bundle.Manifest.Method == CompressionMethods.NameOf(CompressionMethod.Diagonal);

    private static Sigma Project(CanonicalFactors product, SharedBasis basis, bool diagonal) =>
        (diagonal ? SigmaProjection.ProjectDiagonal(product, basis) : SigmaProjection.Project(product, basis))[0];

    private static Sigma Zero(SharedBasis basis, bool diagonal) => diagonal ? Sigma.ZeroDiagonal(basis.RankU) : Sigma.Zero(basis.RankU, basis.RankV);

    private static void RequireSameShapes(BundleManifest manifest, PeftAdapter adapter)
    {
        var shapes = manifest.Modules.ToDictionary(m => m.Path, m => new ModuleShape(m.DOut, m.DIn));
        BaseShapes.Check(adapter.Id, adapter.Modules.Values.Where(m => shapes.ContainsKey(m.Path)), shapes, "the bundle has");
    }
}
