using Eigengate.JointDiagonalization.Storage;

namespace Eigengate.JointDiagonalization.Revisions;

/// <summary>An adapter to be added to a published bundle: what it stores on the bases that are already there.</summary>
public sealed record AddedAdapter
{
    internal AddedAdapter(string id, int cluster, string digest, int rank, IReadOnlyDictionary<string, StoredProduct> products)
    {
        (Id, Cluster, Digest, Rank, Products) = (id, cluster, digest, rank, products);
        Errors = new SortedDictionary<string, double>(
            products.Where(p => p.Value.Norm > 0).ToDictionary(p => p.Key, p => p.Value.RelSqError), StringComparer.Ordinal);
    }

    /// <summary>Its id, new to the bundle.</summary>
    public string Id { get; init; }

    /// <summary>The cluster on whose bases it stands.</summary>
    public int Cluster { get; }

    /// <summary>SHA-256, in hex, of what it was made from.</summary>
    public string Digest { get; }

    /// <summary>Largest rank of its products at the source.</summary>
    public int Rank { get; }

    /// <summary>Relative squared error of each non-zero product, by module path; 1 where nothing is kept.</summary>
    public SortedDictionary<string, double> Errors { get; }

    /// <summary>Mean of <see cref="Errors"/>.</summary>
    public double RelSqError => Errors.Count == 0 ? 0 : Errors.Values.Average();

    /// <summary>Size of the weights it was made from; 0 when it was made from the bundle itself.</summary>
    internal long SourceBytes { get; init; }

    /// <summary>Numbers in A and B that it replaces; 0 likewise.</summary>
    internal long SourceNumbers { get; init; }

    /// <summary>By module path; a product without core and residual is lost, because the cluster has no basis for it.</summary>
    internal IReadOnlyDictionary<string, StoredProduct> Products { get; }

    /// <summary>‖M‖² over all modules.</summary>
    internal double Energy => Products.Values.Sum(p => p.Norm * p.Norm);

    /// <summary>What is lost of <see cref="Energy"/>.</summary>
    internal double LostEnergy => Products.Values.Sum(p => p.Norm * p.Norm * p.RelSqError);

    /// <summary>Numbers in its cores and residuals; not their scales.</summary>
    internal long StoredNumbers => Products.Values.Sum(p => (p.Core?.Count ?? 0) + (p.Residual?.P.Count ?? 0) + (p.Residual?.Q.Count ?? 0));

    /// <summary>Modules of which something is stored.</summary>
    internal string[] Modules => [.. Products.Where(p => p.Value.Core is not null || p.Value.Residual is not null).Select(p => p.Key).Order(StringComparer.Ordinal)];
}
