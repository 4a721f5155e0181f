using System.Security.Cryptography;
using System.Text.Json;
using Eigengate.JointDiagonalization.Bundles;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Revisions;

/// <summary>An ingredient of a mix: M = Σ_j weight_j · M_j.</summary>
public readonly record struct MixPart(string Adapter, double Weight);

/// <summary>
/// Mixes adapters of one cluster: on shared bases Σ_j w_j U Σ_j Vᵀ = U (Σ_j w_j Σ_j) Vᵀ, so the mix of what is served is
/// exact and costs one core, whatever the number of parts (spec/joint-diagonalization.md §1; norms are in the cores).
/// </summary>
public static class AdapterComposer
{
    /// <param name="bundle">Where the parts are.</param>
    /// <param name="id">The new adapter's id.</param>
    /// <param name="mix">At least one part, each adapter once, with finite weights that are not zero.</param>
    /// <returns>
    /// Cores exact for the mix of the served parts up to storage rounding. Their errors bound the distance from the same
    /// mix of the original adapters from above: what the parts lost may at worst add up.
    /// </returns>
    /// <exception cref="KeyNotFoundException">The bundle has no such adapter.</exception>
    /// <exception cref="ArgumentException">The parts are of different clusters, or a weight or the id cannot be used.</exception>
    public static AddedAdapter Compose(Bundle bundle, string id, IReadOnlyList<MixPart> mix)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(id);
        MixPart[] parts = [.. mix.OrderBy(p => p.Adapter, StringComparer.Ordinal)];
        int cluster = Require(bundle, parts);
        Dictionary<string, ReportAdapter> reported = CompressionReport.TryRead(bundle.Folder)?.Adapters.ToDictionary(a => a.Id, StringComparer.Ordinal) ?? [];
        var basis = bundle.ReadBasis(cluster);
        try
        {
            (MixPart Part, IReadOnlyDictionary<string, CoreMatrix> Cores)[] sources = [.. parts.Select(p => (p, bundle.ReadCores(p.Adapter)))];
            var cores = new SortedDictionary<string, Sigma>(StringComparer.Ordinal);
            foreach (string module in sources.SelectMany(s => s.Cores.Keys).Distinct())
            {
                var present = sources.Where(s => s.Cores.ContainsKey(module)).Select(s => (s.Part.Weight, s.Cores[module])).ToArray();
                double lost = sources.Where(s => s.Cores.ContainsKey(module))
                    .Sum(s => Math.Abs(s.Part.Weight) * LostNorm(bundle.Adapter(s.Part.Adapter), reported.GetValueOrDefault(s.Part.Adapter), module, Served(s.Cores[module], basis[module])));
                cores.Add(module, Mix(present, basis[module], lost, bundle.Manifest.Method == CompressionMethods.NameOf(CompressionMethod.Diagonal)));
            }

            int rank = cores.Values.Select(c => Math.Min(c.RankU, c.RankV)).DefaultIfEmpty(1).Max();
            return new AddedAdapter(id, cluster, RecipeDigest(bundle, parts), rank, 0, 0, cores, new Dictionary<string, double>());
        }
        finally
        {
            foreach (SharedBasis shared in basis.Values)
                shared.Dispose();
        }
    }

    private static int Require(Bundle bundle, MixPart[] parts)
    {
        if (parts.Length == 0)
            throw new ArgumentException("a mix needs at least one adapter", nameof(parts));
        if (parts.FirstOrDefault(p => !double.IsFinite(p.Weight) || p.Weight == 0) is { Adapter: { } name } odd)
            throw new ArgumentException($"the weight of '{name}' is {odd.Weight}; a finite number other than 0 was expected", nameof(parts));
        if (parts.GroupBy(p => p.Adapter).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ArgumentException($"'{twice.Key}' stands in the mix {twice.Count()} times; add its weights up", nameof(parts));
        BundleAdapter[] adapters = [.. parts.Select(p => bundle.Adapter(p.Adapter))];
        if (adapters.DistinctBy(a => a.Cluster).Count() > 1)
        {
            string clusters = string.Join(", ", adapters.Select(a => $"'{a.Id}' is in cluster {a.Cluster}"));
            throw new ArgumentException($"only adapters of one cluster share the bases that a mix needs; {clusters}", nameof(parts));
        }

        return adapters[0].Cluster;
    }

    private static Sigma Mix((double Weight, CoreMatrix Core)[] parts, SharedBasis basis, double lost, bool diagonal)
    {
        CoreMatrix first = parts[0].Core;
        double[] sum = new double[first.Values.Length];
        foreach (var (weight, core) in parts)
        {
            for (int i = 0; i < sum.Length; i++)
                sum[i] += weight * core.Values[i];
        }

        var mixed = new CoreMatrix([.. sum.Select(v => (float)v)], first.RankU, first.RankV);
        double served = Served(mixed, basis);
        double error = lost == 0 ? 0 : lost * lost / ((served * served) + (lost * lost));
        float[] stored = diagonal ? [.. Enumerable.Range(0, first.RankU).Select(j => mixed.Values[(j * first.RankV) + j])] : mixed.Values;
        return new Sigma(stored, first.RankU, first.RankV, served, error) { IsDiagonal = diagonal };
    }

    /// <summary>‖UΣVᵀ‖, through the Grams of U and V, which diagonal cores do not have orthonormal.</summary>
    private static double Served(CoreMatrix core, SharedBasis basis)
    {
        using var scope = NewDisposeScope();
        Tensor sigma = tensor(core.Values, [core.RankU, core.RankV]).to(ScalarType.Float64);
        Tensor u = basis.U.to(ScalarType.Float64), v = basis.V.to(ScalarType.Float64);
        return Math.Sqrt(Math.Max(0, (u.t().mm(u).mm(sigma).mm(v.t().mm(v)) * sigma).sum().item<double>()));
    }

    /// <summary>
    /// ‖M − UΣVᵀ‖ of a part: the remainder is orthogonal to what is served, so served² = ‖M‖²(1 − e). Without a report e is
    /// the adapter's mean; with nothing served, ‖M‖ is at most the norm over all modules.
    /// </summary>
    private static double LostNorm(BundleAdapter adapter, ReportAdapter? report, string module, double served)
    {
        double error = report is null ? adapter.RelSqError : report.Modules.GetValueOrDefault(module);
        return error < 1 && served > 0 ? served * Math.Sqrt(error / (1 - error)) : error > 0 ? adapter.Norm : 0;
    }

    private static string RecipeDigest(Bundle bundle, MixPart[] parts) => Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(
        new
        {
            generation = bundle.Manifest.Generation,
            mix = parts.Select(p => new { adapter = p.Adapter, digest = bundle.Adapter(p.Adapter).Digest, weight = p.Weight }),
        })));
}
