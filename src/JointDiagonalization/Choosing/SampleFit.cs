using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>Real fits of a setting on a sample: what the spectra only estimate.</summary>
internal sealed class SampleFit(ModuleSample sample, ulong seed, CancellationToken cancellation)
{
    private const int MaxRounds = 3;

    /// <summary>Mean error after moving adapters between clusters and fitting each, from a given assignment.</summary>
    internal double Error(CompressionSetting setting, int[] start)
    {
        int[] clusterOf = setting.Clusters == 1 ? start : new AdapterClusterer(new ClusterOptions
        {
            Clusters = setting.Clusters,
            RankU = setting.RankU,
            RankV = setting.RankV,
            Seed = seed,
            Start = start,
            MaxRounds = MaxRounds,
        }).Assign(sample.CollectionAdapters, [.. sample.Modules.Select(m => m.Factors)], cancellation: cancellation).ClusterOf;

        double lost = 0, products = 0;
        foreach (SampledModule module in sample.Modules)
        {
            products += module.Weight * module.Factors.Count;
            for (int c = 0; c < setting.Clusters; c++)
            {
                int[] members = [.. Enumerable.Range(0, module.Factors.Count).Where(p => clusterOf[module.Factors.Owners[p]] == c)];
                if (members.Length > 0)
                    lost += module.Weight * Lost(module, members, setting);
            }
        }

        return products == 0 ? 0 : lost / products;
    }

    private double Lost(SampledModule module, int[] members, CompressionSetting setting)
    {
        using var scope = NewDisposeScope();
        using CanonicalFactors factors = module.Factors.Select(members);
        var diagonalizer = new JointDiagonalizer(new FitOptions { RankU = setting.RankU, RankV = setting.RankV, Seed = seed });
        using JointFit fit = diagonalizer.Fit(factors, cancellation: cancellation);
        // Not the fit's own errors: those take the projected products for whole ones where they are small.
        Tensor z = ReconstructionError.Projected(factors.F, fit.Basis.U, factors), w = ReconstructionError.Projected(factors.G, fit.Basis.V, factors);
        Tensor energies = module.Energies.index_select(0, tensor(members.Select(m => (long)m).ToArray()).to(z.device));
        return ResidualTail.Errors(energies, z, w, [setting.Residual])[0].Sum();
    }
}
