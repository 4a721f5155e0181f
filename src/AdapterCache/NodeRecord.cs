namespace Eigengate.AdapterCache;

/// <summary>A live compute node. It is in the index only while its lease is renewed.</summary>
/// <param name="Id">Unique among nodes; a restarted process takes a new one.</param>
/// <param name="Url">Base address of its HTTP server as the gateway reaches it.</param>
/// <param name="BaseModel">Name of the base model it has loaded.</param>
/// <param name="MaxModelLength">Context length in tokens.</param>
/// <param name="Generation">Basis generation of the clusters it holds; empty when it holds none.</param>
/// <param name="Clusters">Adapter clusters whose basis it holds.</param>
/// <param name="ServesExact">Whether it serves adapters by their own A, B.</param>
/// <param name="MaxSequences">Sequences it runs at once.</param>
/// <param name="Started">Start of the process.</param>
public sealed record NodeRecord(
    string Id,
    string Url,
    string BaseModel,
    int MaxModelLength,
    string Generation,
    IReadOnlyList<int> Clusters,
    bool ServesExact,
    int MaxSequences,
    DateTimeOffset Started)
{
    /// <summary>Whether this node can answer for the adapter without help of another.</summary>
    public bool CanServe(AdapterRecord adapter) => adapter.Cluster is { } cluster
        ? Generation == adapter.Generation && Clusters.Contains(cluster)
        : ServesExact;
}
