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
        var fits = new ClusterFit?[clusterOf.Max() + 1];
        try
        {
            if (fits.Length == 1)
                fits[0] = FitCluster(path, factors, clusterOf, 0, cancellation);
            else
                Workers.For(fits.Length, c => fits[c] = FitCluster(path, factors, clusterOf, c, cancellation), cancellation);
            var module = new FittedModule();
            for (int cluster = 0; cluster < fits.Length; cluster++)
            {
                if (fits[cluster] is not { } fit)
                    continue;
                module.Add(cluster, fit.Basis, form.DType);
                module.AddBounds(fit.Bounds);
                foreach (int owner in factors.ZeroOwners.Where(o => clusterOf[o] == cluster))
                    module.Products.Add(ProductEncoder.Zero(owner, fit.Basis, form));
                module.Products.AddRange(fit.Products);
            }

            return module;
        }
        finally
        {
            foreach (ClusterFit? fit in fits)
                fit?.Basis.Dispose();
        }
    }

    /// <summary>Null when all products of the cluster are zero here: it needs no basis, and like an adapter without the module adds nothing.</summary>
    private ClusterFit? FitCluster(string path, CanonicalFactors factors, IReadOnlyList<int> clusterOf, int cluster, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        int[] positions = [.. Enumerable.Range(0, factors.Count).Where(p => clusterOf[factors.Owners[p]] == cluster)];
        if (positions.Length == 0)
            return null;
        using var scope = NewDisposeScope();
        using CanonicalFactors? part = positions.Length == factors.Count ? null : factors.Select(positions);
        CanonicalFactors members = part ?? factors;
        SharedBasis? published = Published(cluster, path, factors.F.device);
        using JointFit fit = Fit(members, published, cancellation);
        var bounds = form.Residual == 0 ? (fit.LowerBound, fit.TailU, fit.TailV) : (BoundWithResidual(members, fit.LowerBound), double.NaN, double.NaN);
        SharedBasis fitted = form.Rounded(fit.Basis);
        StoredProduct[] products = ProductEncoder.Encode(members, fitted, form, cancellation);
        if (published is not null && Better(published, members, products, cancellation) is { } kept)
        {
            fitted.Dispose();
            return new ClusterFit(published, bounds, kept);
        }

        published?.Dispose();
        return new ClusterFit(fitted, bounds, products);
    }

    /// <summary>
    /// Of what lies outside of U, ‖(I − UUᵀ)M̂‖², a private residual takes at most its t largest squared singular values, none of
    /// which exceeds that of M̂; the same holds for V.
    /// </summary>
    private double BoundWithResidual(CanonicalFactors members, double bound)
    {
        using var scope = NewDisposeScope();
        Tensor energies = members.BatchedF.to(ScalarType.Float64).Squared().sum(2);
        int taken = Math.Min(form.Residual, members.Width);
        return Math.Max(0, bound - energies.topk(taken, 1).values.sum().item<double>());
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
            diagonal = diagonal with { Tolerance = options.Tolerance ?? diagonal.Tolerance };
            return new DiagonalJointDiagonalizer(diagonal).Fit(members, start, cancellation);
        }

        var full = new FitOptions
        {
            RankU = options.RankU,
            RankV = options.RankV,
            Iterations = options.EffectiveIterations,
            Seed = options.Seed,
            Restarts = options.Restarts,
            Method = options.Algorithm,
        };
        return new JointDiagonalizer(full with { Tolerance = options.Tolerance ?? full.Tolerance }).Fit(members, start, cancellation);
    }

    private sealed record ClusterFit(SharedBasis Basis, (double Lower, double TailU, double TailV) Bounds, StoredProduct[] Products);
}
