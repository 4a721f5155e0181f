using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Fitting.Diagonal;
using Eigengate.JointDiagonalization.Storage;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>Joint diagonalization in each cluster: a shared basis, a core for each product, and what private residual is asked for.</summary>
internal sealed class JointMethod(CompressorOptions options, StorageForm form) : IModuleMethod
{
    public FittedModule Fit(CanonicalFactors factors, IReadOnlyList<int> clusterOf, CancellationToken cancellation)
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
            using JointFit fit = Fit(members, cancellation);
            using SharedBasis stored = form.Rounded(fit.Basis);
            module.Add(cluster, stored, form.DType);
            // The bound holds for cores alone; nothing bounds what a private residual can reach.
            module.LowerBound += form.Residual == 0 ? fit.LowerBound : double.NaN;
            foreach (int owner in factors.ZeroOwners.Where(o => clusterOf[o] == cluster))
                module.Products.Add(ProductEncoder.Zero(owner, stored, form));
            module.Products.AddRange(ProductEncoder.Encode(members, stored, form, cancellation));
        }

        return module;
    }

    private JointFit Fit(CanonicalFactors members, CancellationToken cancellation)
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
        }).Fit(members, cancellation: cancellation);
    }
}
