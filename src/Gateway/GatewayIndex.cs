using Eigengate.AdapterCache;
using Eigengate.Gateway.Routing;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Eigengate.Gateway;

/// <summary>The gateway's view of the index: connected before the server listens, followed until it stops.</summary>
internal sealed class GatewayIndex(GatewayOptions options, NodeProxyConfig proxyConfig, TimeProvider time, ILogger<GatewayIndex> logger)
    : IHostedLifecycleService, IAsyncDisposable
{
    private AdapterIndex? _index;
    private IndexFollower? _follower;

    /// <exception cref="IndexUnavailableException">The application has not started yet.</exception>
    public IndexSnapshot Snapshot => Follower.Current;

    private IndexFollower Follower => _follower ?? throw new IndexUnavailableException("The index is not connected yet.");

    /// <inheritdoc cref="IndexFollower.FindAsync"/>
    public ValueTask<AdapterRecord?> FindAsync(string id, CancellationToken cancel) => Follower.FindAsync(id, cancel);

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        _index = await AdapterIndex.ConnectAsync(options.Index, options.KeyPrefix, cancellationToken);
        var follower = await IndexFollower.StartAsync(_index, time: time, logger: logger, cancel: cancellationToken);
        follower.Changed += proxyConfig.Follow;
        proxyConfig.Follow(follower.Current);
        _follower = follower;
        logger.LogInformation(
            "Following the index at {Address}: {Adapters} adapters, {Nodes} nodes", _index.Address, Snapshot.AdapterCount, Snapshot.Nodes.Count);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_follower is not null)
            await _follower.DisposeAsync();
        if (_index is not null)
            await _index.DisposeAsync();
    }
}
