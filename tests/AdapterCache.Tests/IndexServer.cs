namespace Eigengate.AdapterCache.Tests;

/// <summary>A real server the index contract runs against; one per test class, shared by its tests.</summary>
public abstract class IndexServer : IAsyncLifetime
{
    /// <summary><c>host:port</c>.</summary>
    public string Address { get; protected set; } = "";

    /// <summary>Why this server cannot run here, or null.</summary>
    public string? SkipReason { get; protected set; }

    public abstract ValueTask InitializeAsync();

    public abstract ValueTask DisposeAsync();
}
