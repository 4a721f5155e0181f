namespace Eigengate.Inference.Adapters;

/// <summary>
/// A lease on one adapter version that is loaded on the engine's device; only adapters nobody leases can be evicted.
/// A request carries exactly one lease of its own. When the engine accepts the request the lease becomes the engine's,
/// which gives it back when the sequence ends; from then on <see cref="Dispose"/> does nothing. A lease that never
/// reached the engine is given back by <see cref="Dispose"/>, so holders may always dispose.
/// </summary>
public sealed class ResidentAdapter : IDisposable
{
    private const int Held = 0;
    private const int Transferred = 1;
    private const int Released = 2;
    private readonly AdapterSlots _slots;
    private int _state;

    internal ResidentAdapter(AdapterSlots slots, AdapterSlot slot)
    {
        _slots = slots;
        Slot = slot;
    }

    public string Id => Slot.Id;

    /// <summary>Content digest; part of every cache key.</summary>
    public string Version => Slot.Version;

    internal AdapterSlot Slot { get; }

    public void Dispose()
    {
        if (Interlocked.CompareExchange(ref _state, Released, Held) == Held)
            _slots.Release(Slot);
    }

    /// <summary>Makes the engine the owner.</summary>
    /// <exception cref="InvalidOperationException">The lease was used for another request or given back.</exception>
    internal void Transfer()
    {
        if (Interlocked.CompareExchange(ref _state, Transferred, Held) != Held)
            throw new InvalidOperationException($"the lease on adapter '{Id}' was already used for a request or given back; every request needs its own");
    }

    internal void ReleaseTransferred()
    {
        if (Interlocked.CompareExchange(ref _state, Released, Transferred) == Transferred)
            _slots.Release(Slot);
    }
}
