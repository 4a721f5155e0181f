using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode;

/// <summary>
/// Announces the node in the index once it listens, keeps its lease, and on shutdown withdraws it first and then drains:
/// while the server still answers, no gateway sends new requests here.
/// </summary>
internal sealed class NodeHeartbeat(
    NodeOptions options, NodeResources resources, NodeActivity activity, IServer server, ILogger<NodeHeartbeat> logger) : IHostedLifecycleService
{
    private NodeLease? _lease;

    public async Task StartedAsync(CancellationToken cancellationToken)
    {
        NodeRecord node = resources.Record with { Url = options.AdvertisedUrl ?? ReachableUrl() };
        _lease = await NodeLease.StartAsync(resources.Index, node, options.Lease, logger: logger, cancel: cancellationToken);
        logger.LogInformation("Node {Node} serves {Model} at {Url}, clusters [{Clusters}]", node.Id, node.BaseModel, node.Url, string.Join(", ", node.Clusters));
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        if (_lease is { } lease)
            await lease.DisposeAsync();
        _lease = null;
        await activity.DrainAsync(options.DrainPeriod, cancellationToken);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>The first listening address; a wildcard host is replaced by this machine's name.</summary>
    private string ReachableUrl()
    {
        string address = server.Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return address.Replace("[::]", Environment.MachineName, StringComparison.Ordinal)
            .Replace("0.0.0.0", Environment.MachineName, StringComparison.Ordinal)
            .TrimEnd('/');
    }
}
