namespace Eigengate.AdapterCache.Tests;

public sealed class EmbeddedGarnetServer : IndexServer
{
    private EmbeddedGarnet? _garnet;

    public override async ValueTask InitializeAsync()
    {
        _garnet = await EmbeddedGarnet.StartAsync();
        Address = _garnet.Address;
    }

    public override async ValueTask DisposeAsync()
    {
        if (_garnet is not null)
            await _garnet.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
