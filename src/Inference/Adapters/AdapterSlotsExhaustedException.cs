namespace Eigengate.Inference.Adapters;

/// <summary>Every adapter slot is leased by a running or waiting sequence. Retry when one has ended.</summary>
public sealed class AdapterSlotsExhaustedException(string adapter, int slots)
    : Exception($"adapter '{adapter}' cannot be loaded: all {slots} adapter slots are in use by running or waiting sequences");
