using Eigengate.AdapterCache;

[assembly: AssemblyFixture(typeof(Eigengate.Gateway.Tests.SharedGarnet))]

namespace Eigengate.Gateway.Tests;

/// <summary>One index server for all tests; each test has a key prefix of its own.</summary>
public sealed class SharedGarnet : IAsyncLifetime
{
    private EmbeddedGarnet? _garnet;

    public string Address => _garnet!.Address;

    public async ValueTask InitializeAsync() => _garnet = await EmbeddedGarnet.StartAsync();

    public async ValueTask DisposeAsync() => await _garnet!.DisposeAsync();
}
