using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Fitting.Diagonal;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.JointDiagonalization.Storage;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>
/// Joint diagonalization in each cluster: a shared basis, a core for each product, and what private residual is asked for.
/// From a warm start, a published basis stays where the new one does not serve the cluster better.
/// </summary>
internal sealed class JointMethod(CompressorOptions options, StorageForm form, WarmStart? warm) : IModuleMethod
{
    public FittedModule Fit(string path, CanonicalFactors factors, IReadOnlyList<int> clusterOf, CancellationToken cancellation)
    {
        var module = new FittedModule();
        int clusters = clusterOf.Max() + 1;
        for (int cluster = 0; cluster < clusters; cluster++)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] positions = [.. Enumerable.Range(0, factors.Count).Where(p => clusterOf[factors.Owners[p]] == cluster)];
            // A cluster whose products are all zero here needs no basis: like adapters without the module, it adds nothing.
            if (positions.Length == 0)
                continue;
            using CanonicalFactors members = factors.Select(positions);
            using SharedBasis? published = Published(cluster, path, factors.F.device);
            using JointFit fit = Fit(members, published, cancellation);
            using SharedBasis fitted = form.Rounded(fit.Basis);
            StoredProduct[] products = ProductEncoder.Encode(members, fitted, form, cancellation);
            SharedBasis stored = fitted;
            if (published is not null && Better(published, members, products, cancellation) is { } kept)
                (stored, products) = (published, kept);
            module.Add(cluster, stored, form.DType);
            // The bound holds for cores alone; nothing bounds what a private residual can reach.
            module.AddBounds(form.Residual == 0 ? (fit.LowerBound, fit.TailU, fit.TailV) : (double.NaN, double.NaN, double.NaN));
            foreach (int owner in factors.ZeroOwners.Where(o => clusterOf[o] == cluster))
                module.Products.Add(ProductEncoder.Zero(owner, stored, form));
            module.Products.AddRange(products);
        }

        return module;
    }

    /// <summary>The basis that a recompression starts from, as it could be stored again.</summary>
    private SharedBasis? Published(int cluster, string path, Device device)
    {
        using SharedBasis? stored = warm?.ReadBasis(cluster, path);
        if (stored is null)
            return null;
        using SharedBasis onDevice = stored.To(device, ScalarType.Float32);
        return form.Rounded(onDevice);
    }

    /// <summary>The products on the published basis when it serves them better than the new one and is still narrow enough.</summary>
    private StoredProduct[]? Better(SharedBasis published, CanonicalFactors members, StoredProduct[] fitted, CancellationToken cancellation)
    {
        if (published.RankU > options.RankU || published.RankV > options.RankV)
            return null;
        StoredProduct[] kept = ProductEncoder.Encode(members, published, form, cancellation);
        return kept.Sum(p => p.RelSqError) < fitted.Sum(p => p.RelSqError) ? kept : null;
    }

    private JointFit Fit(CanonicalFactors members, SharedBasis? start, CancellationToken cancellation)
    {
        if (form.Diagonal)
        {
            var diagonal = new DiagonalFitOptions { Rank = options.RankU, Sweeps = options.EffectiveIterations, Seed = options.Seed };
            return new DiagonalJointDiagonalizer(diagonal).Fit(members, cancellation);
        }

        return new JointDiagonalizer(new FitOptions
        {
            RankU = options.RankU,
            RankV = options.RankV,
            Iterations = options.EffectiveIterations,
            Seed = options.Seed,
        }).Fit(members, start, cancellation);
    }
}
