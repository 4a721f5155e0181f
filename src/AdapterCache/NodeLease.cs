using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Eigengate.AdapterCache;

/// <summary>Keeps a node announced: renews its lease until disposed, then withdraws it. Outages of the index are sat out.</summary>
public sealed class NodeLease : IAsyncDisposable
{
    /// <summary>How long a node that died without notice still looks alive.</summary>
    public static readonly TimeSpan DefaultDuration = TimeSpan.FromSeconds(6);

    private readonly AdapterIndex _index;
    private readonly TimeSpan _duration;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private NodeRecord _node;
    private Task _loop = Task.CompletedTask;
    private int _disposed;

    private NodeLease(AdapterIndex index, NodeRecord node, TimeSpan duration, TimeProvider time, ILogger logger)
    {
        _index = index;
        _node = node;
        _duration = duration;
        _time = time;
        _logger = logger;
    }

    /// <summary>Announces the node, then renews the lease every third of its duration.</summary>
    /// <exception cref="IndexUnavailableException">The first announcement failed.</exception>
    public static async Task<NodeLease> StartAsync(
        AdapterIndex index, NodeRecord node, TimeSpan? duration = null, TimeProvider? time = null, ILogger? logger = null, CancellationToken cancel = default)
    {
        var lease = new NodeLease(index, node, duration ?? DefaultDuration, time ?? TimeProvider.System, logger ?? NullLogger.Instance);
        await index.AnnounceAsync(node, lease._duration, cancel);
        lease._loop = Task.Run(() => lease.RenewAsync(lease._stop.Token), CancellationToken.None);
        return lease;
    }

    /// <summary>Announces what the node holds now, under the same id.</summary>
    public async Task UpdateAsync(NodeRecord node, CancellationToken cancel = default)
    {
        Volatile.Write(ref _node, node);
        await _index.AnnounceAsync(node, _duration, cancel);
    }

    /// <summary>Stops renewing and withdraws the node; call it before requests are drained.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 1)
            return;
        await _stop.CancelAsync();
        await _loop;
        try
        {
            await _index.WithdrawAsync(_node.Id);
        }
        catch (IndexUnavailableException e)
        {
            _logger.LogWarning(e, "Node {Node} could not be withdrawn; its lease ends by itself", _node.Id);
        }

        _stop.Dispose();
    }

    private async Task RenewAsync(CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(_duration / 3, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancel))
                await TryRenewAsync(cancel);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
        }
    }

    private async Task TryRenewAsync(CancellationToken cancel)
    {
        try
        {
            await _index.AnnounceAsync(Volatile.Read(ref _node), _duration, cancel);
        }
        catch (Exception e) when (e is IndexUnavailableException or StackExchange.Redis.RedisException)
        {
            _logger.LogWarning(e, "The lease of node {Node} could not be renewed", _node.Id);
        }
    }
}
