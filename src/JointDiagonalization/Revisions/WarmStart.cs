using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Methods;
using Eigengate.JointDiagonalization.Storage;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Revisions;

/// <summary>
/// Where a recompression starts (spec/joint-diagonalization.md §5 "Recompression"): unchanged adapters in their published
/// clusters, newcomers in those of least error, and the published bases.
/// </summary>
internal sealed class WarmStart
{
    /// <summary>Rounds of moves from a published assignment, which was good when it was made.</summary>
    internal const int Rounds = 3;

    private readonly Bundle _bundle;
    private readonly int[] _publishedOf;

    private WarmStart(Bundle bundle, int[] clusterOf, int[] publishedOf, double error)
    {
        _bundle = bundle;
        ClusterOf = clusterOf;
        _publishedOf = publishedOf;
        PublishedError = error;
    }

    internal int[] ClusterOf { get; }

    /// <summary>Of the published bundle.</summary>
    internal string Generation => _bundle.Manifest.Generation;

    internal int Clusters => _publishedOf.Length;

    /// <summary>Mean relative squared error of these adapters on the published bases, unmoved.</summary>
    internal double PublishedError { get; }

    /// <summary>Whether adapters may leave the cluster they start in.</summary>
    internal bool MayMove { get; private init; } = true;

    /// <summary>The same start without moves: then no basis, and so no sum, can end worse than it was published.</summary>
    internal WarmStart Fixed() => new(_bundle, ClusterOf, _publishedOf, PublishedError) { MayMove = false };

    /// <summary>The published basis of a cluster of this run; null when it has none. The caller disposes it.</summary>
    internal SharedBasis? ReadBasis(int cluster, string module) => _publishedOf[cluster] < 0 ? null : _bundle.ReadBasis(_publishedOf[cluster], module);

    /// <param name="bundle">The published bundle.</param>
    /// <param name="collection">The adapters to compress now.</param>
    /// <param name="clusters">Clusters wanted; more than published are seeded with the worst-fitted adapters, fewer keep the largest.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="progress">Told about every module.</param>
    /// <param name="cancellation">Checked between modules.</param>
    internal static WarmStart Measure(
        Bundle bundle, AdapterCollection collection, int clusters, Device device, IProgress<CompressionProgress>? progress, CancellationToken cancellation)
    {
        clusters = Math.Min(clusters, collection.Adapters.Count);
        // −1: a newcomer, or an adapter whose content changed.
        int[] published =
        [
            .. collection.Adapters.Select((a, i) => bundle.Contains(a.Id) && bundle.Adapter(a.Id).Digest == collection.Digests[i] ? bundle.Adapter(a.Id).Cluster : -1),
        ];
        int[] kept =
        [
            .. Enumerable.Range(0, bundle.Manifest.Clusters).OrderByDescending(c => published.Count(p => p == c)).ThenBy(c => c).Take(clusters).Order(),
        ];
        var (errors, products) = Errors(bundle, collection, published, kept, device, progress, cancellation);
        int[] best = [.. Enumerable.Range(0, published.Length).Select(i => Enumerable.Range(0, bundle.Manifest.Clusters).MinBy(c => errors[i, c]))];
        double error = Enumerable.Range(0, published.Length).Sum(i => errors[i, published[i] < 0 ? best[i] : published[i]]);

        int[] start = [.. Enumerable.Range(0, published.Length).Select(i => Array.IndexOf(kept, published[i]) is >= 0 and var own ? own : LeastAmong(kept, errors, i))];
        int[] publishedOf = [.. kept, .. Enumerable.Repeat(-1, clusters - kept.Length)];
        SeedEmpty(start, publishedOf, i => errors[i, kept[start[i]]]);
        return new WarmStart(bundle, start, publishedOf, products == 0 ? 0 : error / products);
    }

    private static int LeastAmong(int[] kept, double[,] errors, int adapter) => Enumerable.Range(0, kept.Length).MinBy(c => errors[adapter, kept[c]]);

    /// <summary>A cluster without members gets the worst-fitted adapter of one that can spare it; alone, it is fitted afresh.</summary>
    private static void SeedEmpty(int[] start, int[] publishedOf, Func<int, double> errorOf)
    {
        int[] sizes = new int[publishedOf.Length];
        foreach (int c in start)
            sizes[c]++;
        int[] worstFirst = [.. Enumerable.Range(0, start.Length).OrderByDescending(errorOf).ThenBy(i => i)];
        for (int c = 0; c < sizes.Length; c++)
        {
            if (sizes[c] > 0)
                continue;
            int adapter = Array.Find(worstFirst, i => sizes[start[i]] > 1);
            sizes[start[adapter]]--;
            sizes[c]++;
            start[adapter] = c;
            publishedOf[c] = -1;
        }
    }

    /// <summary>Σ_m error of each adapter in each cluster it may start in, infinite elsewhere; and the number of non-zero products.</summary>
    private static (double[,] Errors, int Products) Errors(
        Bundle bundle, AdapterCollection collection, int[] published, int[] kept, Device device, IProgress<CompressionProgress>? progress, CancellationToken cancellation)
    {
        int clusters = bundle.Manifest.Clusters, products = 0;
        double[,] errors = new double[published.Length, clusters];
        bool MayStartIn(int adapter, int cluster) =>
            published[adapter] == cluster || published[adapter] < 0 || (!kept.Contains(published[adapter]) && kept.Contains(cluster));
        for (int i = 0; i < published.Length; i++)
        {
            for (int c = 0; c < clusters; c++)
                errors[i, c] = MayStartIn(i, c) ? 0 : double.PositiveInfinity;
        }

        for (int m = 0; m < collection.Modules.Length; m++)
        {
            cancellation.ThrowIfCancellationRequested();
            string module = collection.Modules[m].Path;
            using CanonicalFactors factors = collection.Read(module, device, cancellation);
            products += factors.Count;
            for (int c = 0; c < clusters; c++)
            {
                int[] positions = [.. Enumerable.Range(0, factors.Count).Where(p => MayStartIn(factors.Owners[p], c))];
                if (positions.Length == 0)
                    continue;
                using CanonicalFactors part = factors.Select(positions);
                double[] lost = Lost(bundle, c, module, part, device, cancellation);
                for (int p = 0; p < lost.Length; p++)
                    errors[part.Owners[p], c] += lost[p];
            }

            progress?.Report(new CompressionProgress(CompressionStage.Comparing, m + 1, collection.Modules.Length, module));
        }

        return (errors, products);
    }

    /// <summary>Errors on the published basis as served, private residuals included; without a basis these are all that is kept.</summary>
    private static double[] Lost(Bundle bundle, int cluster, string module, CanonicalFactors products, Device device, CancellationToken cancellation)
    {
        using SharedBasis? stored = bundle.ReadBasis(cluster, module);
        using SharedBasis? basis = stored?.To(device, ScalarType.Float32);
        return [.. ProductEncoder.Encode(products, basis, StorageForm.Of(bundle.Manifest), cancellation).Select(p => p.RelSqError)];
    }
}
