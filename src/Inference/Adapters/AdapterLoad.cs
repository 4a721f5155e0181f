namespace Eigengate.Inference.Adapters;

/// <summary>
/// An adapter on its way to the device, and everyone who waits for it. It waits for room first and is copied then. Guarded by
/// <see cref="AdapterSlots"/>.
/// </summary>
/// <param name="Cluster">In use on behalf of this load, or null.</param>
/// <param name="Cores">The slot's content.</param>
/// <param name="Layout">Of its private parts; null when it has none.</param>
internal sealed record AdapterLoad(AdapterWeights Weights, ResidentCluster? Cluster, float[] Cores, PrivateLayout? Layout)
{
    public (string Id, string Version) Key => (Weights.Id, Weights.Version);

    public int PageCount => Layout?.PageCount ?? 0;

    public List<TaskCompletionSource<ResidentAdapter>> Callers { get; } = [];

    /// <summary>Place in the queue for room; null as soon as it has room.</summary>
    public LinkedListNode<AdapterLoad>? Place { get; set; }

    /// <summary>Where it is copied to, when it has room.</summary>
    public AdapterSlot? Slot { get; set; }
}
