using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Eigengate.AdapterCache;

/// <summary>
/// Keeps a snapshot of the index in memory. It polls, and looks at once when a writer hints at a change. When the server
/// is away the last snapshot stays; when it is back everything is read anew, because the server may have lost writes, and
/// nodes that are missing stay for the time of one lease, because they could not renew it.
/// </summary>
public sealed class IndexFollower : IAsyncDisposable
{
    public static readonly TimeSpan DefaultPollInterval = TimeSpan.FromMilliseconds(200);

    private readonly AdapterIndex _index;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<bool> _wakeUps = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stop = new();
    private IReadOnlyList<(string Id, string Json)> _nodeRecords = [];
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ITimer? _timer;
    private Task _loop = Task.CompletedTask;
    private volatile IndexSnapshot _current = IndexSnapshot.Empty;
    private volatile bool _rereadAll;
    private bool _away;
    private DateTimeOffset _nodesKeptUntil;
    private int _disposed;

    private IndexFollower(AdapterIndex index, TimeProvider time, ILogger logger)
    {
        _index = index;
        _time = time;
        _logger = logger;
    }

    /// <summary>The latest snapshot.</summary>
    public IndexSnapshot Current => _current;

    /// <summary>Raised after <see cref="Current"/> changed, one call at a time, on the follower's task: return quickly.</summary>
    public event Action<IndexSnapshot>? Changed;

    /// <summary>Reads the index once, then follows it until disposed. The index is not disposed with the follower.</summary>
    /// <param name="index">What to follow.</param>
    /// <param name="pollInterval">How stale a snapshot may be when hints get lost; <see cref="DefaultPollInterval"/> when null.</param>
    /// <param name="time">Drives polling.</param>
    /// <param name="logger">Told once when the server goes away and once when it is back.</param>
    /// <param name="cancel">Gives up the first read.</param>
    /// <exception cref="IndexUnavailableException">The first read failed.</exception>
    public static async Task<IndexFollower> StartAsync(
        AdapterIndex index, TimeSpan? pollInterval = null, TimeProvider? time = null, ILogger? logger = null, CancellationToken cancel = default)
    {
        var follower = new IndexFollower(index, time ?? TimeProvider.System, logger ?? NullLogger.Instance);
        await index.SubscribeAsync(follower.WakeUp, cancel);
        await follower.RefreshAsync(cancel);
        index.ConnectionRestored += follower.RereadAll;
        var interval = pollInterval ?? DefaultPollInterval;
        follower._timer = follower._time.CreateTimer(_ => follower.WakeUp(), null, interval, interval);
        follower._loop = Task.Run(() => follower.FollowAsync(follower._stop.Token), CancellationToken.None);
        return follower;
    }

    /// <summary>
    /// The adapter, or null when there is none. What the snapshot lacks is looked up in the index itself, so that an adapter
    /// can be used as soon as its registration returned.
    /// </summary>
    /// <exception cref="IndexUnavailableException">It is not in the snapshot and the server does not answer.</exception>
    public async ValueTask<AdapterRecord?> FindAsync(string id, CancellationToken cancel = default) =>
        _current.TryGetAdapter(id, out var adapter) ? adapter : await _index.GetAsync(id, cancel);

    /// <summary>Waits until a snapshot meets the condition, and returns it.</summary>
    public async Task<IndexSnapshot> WaitForAsync(Func<IndexSnapshot, bool> condition, CancellationToken cancel = default)
    {
        while (true)
        {
            var next = Volatile.Read(ref _next).Task;
            var snapshot = _current;
            if (condition(snapshot))
                return snapshot;
            await next.WaitAsync(cancel);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 1)
            return;
        _index.ConnectionRestored -= RereadAll;
        await _stop.CancelAsync();
        if (_timer is not null)
            await _timer.DisposeAsync();
        await _loop;
        _stop.Dispose();
    }

    private void WakeUp() => _wakeUps.Writer.TryWrite(true);

    private void RereadAll()
    {
        _rereadAll = true;
        WakeUp();
    }

    private async Task FollowAsync(CancellationToken cancel)
    {
        try
        {
            await foreach (var _ in _wakeUps.Reader.ReadAllAsync(cancel))
                await TryRefreshAsync(cancel);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
        }
    }

    private async Task TryRefreshAsync(CancellationToken cancel)
    {
        try
        {
            await RefreshAsync(cancel);
            if (_away)
                _logger.LogInformation("The index at {Address} is back", _index.Address);
            _away = false;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancel.IsCancellationRequested)
        {
            if (!_away)
                _logger.LogWarning(e, "The index at {Address} cannot be followed; the last snapshot stays in use", _index.Address);
            _away = true;
            _rereadAll = true;
        }
    }

    private async Task RefreshAsync(CancellationToken cancel)
    {
        var anew = _rereadAll;
        _rereadAll = false;
        var (epoch, version) = await _index.ReadStateAsync(cancel);
        var nodeRecords = await _index.ReadNodesAsync(cancel);
        if (anew)
            _nodesKeptUntil = _time.GetUtcNow() + NodeLease.DefaultDuration;
        if (_time.GetUtcNow() < _nodesKeptUntil)
            nodeRecords = [.. nodeRecords.UnionBy(_nodeRecords, node => node.Id).OrderBy(node => node.Id, StringComparer.Ordinal)];
        var old = _current;
        anew |= epoch != old.Epoch || version < old.Version;
        var sameNodes = nodeRecords.SequenceEqual(_nodeRecords);
        if (!anew && version == old.Version && sameNodes)
            return;

        var nodes = sameNodes ? old.Nodes : [.. nodeRecords.Select(AdapterIndex.ParseNode)];
        _nodeRecords = nodeRecords;
        Publish(await ReadSnapshotAsync(anew ? IndexSnapshot.Empty : old, epoch, version, nodes, cancel));
    }

    private async Task<IndexSnapshot> ReadSnapshotAsync(
        IndexSnapshot from, string? epoch, long version, IReadOnlyList<NodeRecord> nodes, CancellationToken cancel)
    {
        var builder = from.ToBuilder();
        var reached = version;
        await foreach (var change in _index.ReadChangesAsync(from.Version, cancel))
        {
            builder.Apply(change);
            reached = Math.Max(reached, change.Version);
        }

        var baseModel = await _index.GetBaseAsync(cancel);
        return builder.Build(epoch, reached, baseModel, nodes);
    }

    private void Publish(IndexSnapshot snapshot)
    {
        _current = snapshot;
        var reached = Interlocked.Exchange(ref _next, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        reached.SetResult();
        Changed?.Invoke(snapshot);
    }
}
