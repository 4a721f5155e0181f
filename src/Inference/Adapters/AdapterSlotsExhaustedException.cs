namespace Eigengate.Inference.Adapters;

/// <summary>There is no room for an adapter: running or waiting sequences use too many others. Retry when one has ended.</summary>
public sealed class AdapterSlotsExhaustedException(string adapter, string lacking)
    : Exception($"adapter '{adapter}' cannot be loaded now: {lacking} in use by running or waiting sequences");
