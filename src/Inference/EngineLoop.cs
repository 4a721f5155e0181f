using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference;

/// <summary>
/// Runs an engine on one dedicated thread, the only one that touches its tensors. Requests come in through a bounded
/// queue and go out as event streams; all members are thread-safe.
/// </summary>
public sealed class EngineLoop : IAsyncDisposable
{
    private readonly Engine _engine;
    private readonly Thread _thread;
    private readonly AutoResetEvent _wake = new(false);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _admission = new();
    private bool _stopping;

    /// <param name="engine">Owned from here on.</param>
    public EngineLoop(Engine engine)
    {
        _engine = engine;
        _thread = new Thread(Run) { IsBackground = true, Name = "engine" };
        _thread.Start();
    }

    public Engine Engine => _engine;

    public EngineStats Stats => _engine.Stats;

    /// <summary>
    /// Queues a request at once and returns its events. Cancelling the token, or leaving the enumeration early, ends the
    /// sequence within one step; a cancelled enumeration throws <see cref="OperationCanceledException"/>. The request's
    /// adapter lease belongs to the engine when this returns, and stays with the caller when it throws.
    /// </summary>
    /// <exception cref="EngineOverloadedException">The queue is full, or the engine is shutting down.</exception>
    /// <exception cref="ArgumentException">The prompt is empty, too long, or has ids outside the vocabulary.</exception>
    public IAsyncEnumerable<GenerationEvent> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        var events = Channel.CreateUnbounded<GenerationEvent>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        Sequence sequence;
        lock (_admission)
        {
            if (_stopping)
                throw new EngineOverloadedException("the engine is shutting down");
            sequence = _engine.Submit(request, events.Writer);
        }

        _wake.Set();
        CancellationTokenRegistration cancellation = cancellationToken.UnsafeRegister(_ => Abort(sequence), null);
        return Read(sequence, events.Reader, cancellation, cancellationToken);
    }

    /// <summary>Ends every sequence with <see cref="FinishReason.Abort"/> and frees the engine.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_admission)
            _stopping = true;
        _wake.Set();
        await _ended.Task.ConfigureAwait(false);
        _engine.Dispose();
    }

    private async IAsyncEnumerable<GenerationEvent> Read(
        Sequence sequence,
        ChannelReader<GenerationEvent> events,
        CancellationTokenRegistration cancellation,
        CancellationToken cancellationToken,
        [EnumeratorCancellation] CancellationToken enumeration = default)
    {
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, enumeration);
        bool complete = false;
        try
        {
            await foreach (GenerationEvent item in events.ReadAllAsync(both.Token).ConfigureAwait(false))
                yield return item;
            complete = true;
        }
        finally
        {
            await cancellation.DisposeAsync().ConfigureAwait(false);
            if (!complete)
                Abort(sequence);
        }
    }

    private void Abort(Sequence sequence)
    {
        _engine.Abort(sequence);
        _wake.Set();
    }

    private void Run()
    {
        try
        {
            _engine.BindThread();
            while (!Volatile.Read(ref _stopping))
            {
                if (!_engine.Step())
                    _wake.WaitOne();
            }

            _engine.AbortAll();
        }
        catch (Exception e)
        {
            // A step contains its own failures; what gets here means the queues cannot be trusted any more.
            lock (_admission)
                _stopping = true;
            _engine.FailAll(e);
        }
        finally
        {
            _ended.TrySetResult();
        }
    }
}
