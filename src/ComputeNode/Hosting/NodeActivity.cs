using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Hosting;

/// <summary>
/// Which generation requests are in flight, and whether new ones are taken. On shutdown the running ones get a drain
/// period, then <see cref="Ending"/> ends them with what they have (spec/http-api.md §13). Thread-safe.
/// </summary>
internal sealed class NodeActivity : IDisposable
{
    private static readonly TimeSpan RetryElsewhere = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _ending = new();
    private int _inFlight;
    private bool _draining;

    public int InFlight
    {
        get
        {
            lock (_lock)
                return _inFlight;
        }
    }

    public bool IsDraining
    {
        get
        {
            lock (_lock)
                return _draining;
        }
    }

    /// <summary>Cancelled when the drain period is over.</summary>
    public CancellationToken Ending => _ending.Token;

    /// <summary>Counts a request until the result is disposed.</summary>
    /// <exception cref="ApiException">503: the node is draining.</exception>
    public IDisposable Enter()
    {
        lock (_lock)
        {
            if (_draining)
                throw new ApiException(ApiError.Unavailable("This node is shutting down.", RetryElsewhere));
            _inFlight++;
            return new Visit(this);
        }
    }

    /// <summary>Refuses new requests, waits for the running ones, and ends those that outlast the period.</summary>
    public async Task DrainAsync(TimeSpan period, CancellationToken cancel)
    {
        lock (_lock)
        {
            _draining = true;
            if (_inFlight == 0)
                _idle.TrySetResult();
        }

        try
        {
            await _idle.Task.WaitAsync(period, cancel);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            await _ending.CancelAsync();
        }
    }

    public void Dispose() => _ending.Dispose();

    private void Leave()
    {
        lock (_lock)
        {
            if (--_inFlight == 0 && _draining)
                _idle.TrySetResult();
        }
    }

    private sealed class Visit(NodeActivity activity) : IDisposable
    {
        private NodeActivity? _activity = activity;

        public void Dispose() => Interlocked.Exchange(ref _activity, null)?.Leave();
    }
}
