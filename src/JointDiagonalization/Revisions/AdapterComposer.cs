using System.Security.Cryptography;
using System.Text.Json;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Storage;

namespace Eigengate.JointDiagonalization.Revisions;

/// <summary>An ingredient of a mix: M = Σ_j weight_j · M_j.</summary>
public readonly record struct MixPart(string Adapter, double Weight);

/// <summary>
/// Mixes adapters of one cluster: on shared bases Σ_j w_j U Σ_j Vᵀ = U (Σ_j w_j Σ_j) Vᵀ, so the mix of what is served is
/// exact up to the rounding of storage and costs one core, whatever the number of parts (spec/joint-diagonalization.md §1;
/// norms are in the cores). Private residuals add up too; of their sum the bundle's rank is kept.
/// </summary>
public static class AdapterComposer
{
    /// <param name="bundle">Where the parts are.</param>
    /// <param name="id">The new adapter's id.</param>
    /// <param name="mix">At least one part, each adapter once, with finite weights that are not zero.</param>
    /// <returns>
    /// The mix. Its errors bound the distance from the same mix of the original adapters from above: what the parts lost
    /// may at worst add up. Without a report the parts' mean errors stand in for those of each module.
    /// </returns>
    /// <exception cref="KeyNotFoundException">The bundle has no such adapter.</exception>
    /// <exception cref="ArgumentException">The parts are of different clusters, or a weight or the id cannot be used.</exception>
    public static AddedAdapter Compose(Bundle bundle, string id, IReadOnlyList<MixPart> mix)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(id);
        MixPart[] parts = [.. mix.OrderBy(p => p.Adapter, StringComparer.Ordinal)];
        int cluster = Require(bundle, parts);
        var reported = CompressionReport.TryRead(bundle.Folder)?.Adapters.ToDictionary(a => a.Id, StringComparer.Ordinal) ?? [];
        Ingredient[] ingredients =
        [
            .. parts.Select(p => new Ingredient(
                p.Weight, bundle.Adapter(p.Adapter), reported.GetValueOrDefault(p.Adapter), bundle.ReadCores(p.Adapter), bundle.ReadResiduals(p.Adapter))),
        ];
        var form = StorageForm.Of(bundle.Manifest);
        var products = new SortedDictionary<string, StoredProduct>(StringComparer.Ordinal);
        foreach (string module in ingredients.SelectMany(i => i.Adapter.Modules).Distinct())
        {
            using SharedBasis? basis = bundle.ReadBasis(cluster, module);
            products.Add(module, ModuleMix.Of(ingredients, module, basis, form));
        }

        return new AddedAdapter(id, cluster, RecipeDigest(bundle, parts), parts.Max(p => bundle.Adapter(p.Adapter).Rank), products);
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

    private static string RecipeDigest(Bundle bundle, MixPart[] parts) => Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(
        new
        {
            generation = bundle.Manifest.Generation,
            mix = parts.Select(p => new { adapter = p.Adapter, digest = bundle.Adapter(p.Adapter).Digest, weight = p.Weight }),
        })));
}
