namespace Eigengate.Inference.Adapters;

/// <summary>One adapter on the device. Mutable parts are guarded by <see cref="AdapterSlots"/>.</summary>
internal sealed class AdapterSlot(int index, string id, string version, ResidentCluster? cluster, PrivateParts? parts)
{
    /// <summary>Row in the slab.</summary>
    public int Index { get; } = index;

    public string Id { get; } = id;

    public string Version { get; } = version;

    /// <summary>Whose bases its cores use; null for an adapter without cores.</summary>
    public ResidentCluster? Cluster { get; } = cluster;

    /// <summary>What it has alone: factors, gains, biases. Null for an adapter that is all cores.</summary>
    public PrivateParts? Parts { get; } = parts;

    public int PageCount => Parts?.Pages.Length ?? 0;

    public int Leases { get; set; }

    /// <summary>Unloaded by name while leased: its slot is freed with the last lease.</summary>
    public bool Doomed { get; set; }

    /// <summary>Place in the eviction order, when nobody leases it.</summary>
    public LinkedListNode<AdapterSlot>? Idle { get; set; }
}
