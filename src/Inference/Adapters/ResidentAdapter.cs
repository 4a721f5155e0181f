namespace Eigengate.Inference.Adapters;

/// <summary>
/// A lease on one adapter version that is loaded on the engine's device. Sequences hold it from admission to their end;
/// only adapters nobody leases can be evicted.
/// </summary>
public sealed class ResidentAdapter
{
    internal ResidentAdapter(string id, string version)
    {
        Id = id;
        Version = version;
    }

    public string Id { get; }

    /// <summary>Content digest; part of every cache key.</summary>
    public string Version { get; }
}
