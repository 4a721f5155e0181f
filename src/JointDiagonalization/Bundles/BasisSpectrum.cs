namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>
/// How much of a basis the cores of its cluster use: the energy of unit cores by column of U and of V, the diagonals of
/// Σ Σ̂ᵢΣ̂ᵢᵀ and Σ Σ̂ᵢᵀΣ̂ᵢ. The gauge of a fit makes these matrices diagonal, so these are the squared singular values of
/// what is served, side by side (spec/joint-diagonalization.md §3 "gauge").
/// </summary>
/// <param name="Cluster">The cluster.</param>
/// <param name="Module">Module path.</param>
/// <param name="EnergyU">[r_U], shares of 1, falling; all zero when every core is.</param>
/// <param name="EnergyV">[r_V], likewise.</param>
public sealed record BasisSpectrum(int Cluster, string Module, double[] EnergyU, double[] EnergyV)
{
    /// <summary>Number of equally used columns that would spread as wide: the exponential of the entropy of the shares.</summary>
    public double EffectiveRankU => EffectiveRank(EnergyU);

    /// <inheritdoc cref="EffectiveRankU"/>
    public double EffectiveRankV => EffectiveRank(EnergyV);

    /// <summary>Of every cluster and module with a basis, by cluster and then by path. Reads all cores once.</summary>
    /// <exception cref="BundleFormatException">A file does not hold what the manifest says.</exception>
    public static IReadOnlyList<BasisSpectrum> ReadAll(Bundle bundle, CancellationToken cancellation = default)
    {
        var sums = bundle.Manifest.Bases
            .SelectMany(b => b.Ranks.Select(r => (b.Cluster, Module: r.Key, U: new double[r.Value[0]], V: new double[r.Value[1]])))
            .ToDictionary(s => (s.Cluster, s.Module), s => (s.U, s.V));
        foreach (BundleAdapter adapter in bundle.Manifest.Adapters)
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (var (module, core) in bundle.ReadCores(adapter.Id))
                Add(core, sums[(adapter.Cluster, module)].U, sums[(adapter.Cluster, module)].V);
        }

        return
        [
            .. sums.OrderBy(s => s.Key.Cluster).ThenBy(s => s.Key.Module, StringComparer.Ordinal)
                .Select(s => new BasisSpectrum(s.Key.Cluster, s.Key.Module, Shares(s.Value.U), Shares(s.Value.V))),
        ];
    }

    private static void Add(CoreMatrix core, double[] u, double[] v)
    {
        double energy = core.Values.Sum(x => (double)x * x);
        if (energy == 0)
            return;
        for (int a = 0; a < core.RankU; a++)
        {
            for (int b = 0; b < core.RankV; b++)
            {
                double share = (double)core.Values[(a * core.RankV) + b] * core.Values[(a * core.RankV) + b] / energy;
                u[a] += share;
                v[b] += share;
            }
        }
    }

    private static double[] Shares(double[] sums)
    {
        double total = sums.Sum();
        return [.. sums.Select(s => total == 0 ? 0 : s / total).OrderDescending()];
    }

    private static double EffectiveRank(double[] shares) => shares.Any(s => s > 0) ? Math.Exp(-shares.Where(s => s > 0).Sum(s => s * Math.Log(s))) : 0;
}
