namespace Eigengate.JointDiagonalization.Revisions;

/// <summary>An adapter to be added to a published bundle: its cores on the bases that are already there.</summary>
/// <param name="Id">Its id, new to the bundle.</param>
/// <param name="Cluster">The cluster on whose bases the cores stand.</param>
/// <param name="Digest">SHA-256, in hex, of what it was made from.</param>
/// <param name="Rank">Largest rank of its products at the source.</param>
/// <param name="SourceBytes">Size of the weights it was made from; 0 when it was made from the bundle itself.</param>
/// <param name="SourceNumbers">Numbers in A and B that it replaces; 0 likewise.</param>
/// <param name="Cores">Serving cores by module path.</param>
/// <param name="LostModules">Modules of which nothing is kept, because the cluster has no basis for them, with the norm of the product.</param>
public sealed record AddedAdapter(
    string Id,
    int Cluster,
    string Digest,
    int Rank,
    long SourceBytes,
    long SourceNumbers,
    IReadOnlyDictionary<string, Sigma> Cores,
    IReadOnlyDictionary<string, double> LostModules)
{
    /// <summary>Relative squared error of each non-zero product, by module path.</summary>
    public SortedDictionary<string, double> Errors { get; } = ErrorsOf(Cores, LostModules);

    /// <summary>Mean of <see cref="Errors"/>.</summary>
    public double RelSqError => Errors.Count == 0 ? 0 : Errors.Values.Average();

    /// <summary>‖M‖² over all modules.</summary>
    internal double Energy => Cores.Values.Sum(c => c.Norm * c.Norm) + LostModules.Values.Sum(n => n * n);

    /// <summary>‖M − UΣVᵀ‖² over all modules.</summary>
    internal double LostEnergy => Cores.Values.Sum(c => c.Norm * c.Norm * c.RelSqError) + LostModules.Values.Sum(n => n * n);

    private static SortedDictionary<string, double> ErrorsOf(IReadOnlyDictionary<string, Sigma> cores, IReadOnlyDictionary<string, double> lost)
    {
        var errors = new SortedDictionary<string, double>(StringComparer.Ordinal);
        foreach (var (module, core) in cores.Where(c => c.Value.Norm > 0))
            errors.Add(module, core.RelSqError);
        foreach (string module in lost.Keys)
            errors.Add(module, 1);
        return errors;
    }
}
