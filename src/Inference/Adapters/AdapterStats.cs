namespace Eigengate.Inference.Adapters;

/// <summary>A snapshot of the adapters on the device and of how they came there. Counts are since load.</summary>
/// <param name="Slots">Adapters that can be on the device at once.</param>
/// <param name="SlotsUsed">Adapters there or being copied there.</param>
/// <param name="Leased">Of these, those that some sequence or caller holds, or that are being copied.</param>
/// <param name="Waiting">Adapters that wait for room.</param>
/// <param name="PoolBytes">Size of the pool of private parts: the factors of exact adapters, residuals, gains and biases.</param>
/// <param name="PoolBytesUsed">Of these, in use.</param>
/// <param name="Hits">Leases asked for whose adapter was on the device.</param>
/// <param name="Misses">Leases asked for whose adapter was not.</param>
/// <param name="Loads">Adapters copied to the device.</param>
/// <param name="Evictions">Adapters that gave way to others.</param>
public readonly record struct AdapterStats(
    int Slots, int SlotsUsed, int Leased, int Waiting, long PoolBytes, long PoolBytesUsed, long Hits, long Misses, long Loads, long Evictions);
