using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Eigengate.Inference;

namespace Eigengate.ComputeNode.Generation;

/// <summary>
/// The sequences of one HTTP request, running at once; their events come out of one stream in the order they happen.
/// Disposing cancels whatever still runs and returns when the engine has let go of it.
/// </summary>
internal sealed class SequenceGroup : IAsyncDisposable
{
    private readonly Channel<(int Index, GenerationEvent Event)> _events =
        Channel.CreateUnbounded<(int, GenerationEvent)>(new UnboundedChannelOptions { SingleReader = true });

    private readonly CancellationTokenSource _cancel;
    private readonly CancellationToken _ending;
    private readonly Task _running;
    private Exception? _failure;
    private int _unfinished;

    private SequenceGroup(
        IReadOnlyList<GenerationRequest> requests, Func<GenerationRequest, CancellationToken, IAsyncEnumerable<GenerationEvent>> generate, CancellationToken ending, CancellationToken cancel)
    {
        _ending = ending;
        _cancel = CancellationTokenSource.CreateLinkedTokenSource(cancel, ending);
        _unfinished = requests.Count;
        _running = Task.WhenAll([.. requests.Select((request, i) => PumpAsync(i, request, generate))]);
    }

    /// <summary>
    /// Submits all requests and waits for the first event, so that whatever the engine refuses can still be answered with
    /// a status code.
    /// </summary>
    /// <param name="requests">One per sequence.</param>
    /// <param name="generate">The engine.</param>
    /// <param name="ending">Ends the sequences as aborted, without an error.</param>
    /// <param name="cancel">The client left.</param>
    public static async Task<SequenceGroup> StartAsync(
        IReadOnlyList<GenerationRequest> requests,
        Func<GenerationRequest, CancellationToken, IAsyncEnumerable<GenerationEvent>> generate,
        CancellationToken ending,
        CancellationToken cancel)
    {
        var group = new SequenceGroup(requests, generate, ending, cancel);
        try
        {
            await group._events.Reader.WaitToReadAsync(cancel);
            group.ThrowIfFailed();
            return group;
        }
        catch
        {
            await group.DisposeAsync();
            throw;
        }
    }

    /// <summary>All events until every sequence has finished; the failure of one sequence fails the whole.</summary>
    public async IAsyncEnumerable<(int Index, GenerationEvent Event)> ReadAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        await foreach (var next in _events.Reader.ReadAllAsync(cancel))
            yield return next;
        cancel.ThrowIfCancellationRequested();
        ThrowIfFailed();
    }

    public async ValueTask DisposeAsync()
    {
        await _cancel.CancelAsync();
        await _running;
        _cancel.Dispose();
    }

    /// <summary>Passes one sequence's events on. Never throws: the reader of the group does.</summary>
    private async Task PumpAsync(int index, GenerationRequest request, Func<GenerationRequest, CancellationToken, IAsyncEnumerable<GenerationEvent>> generate)
    {
        bool finished = false;
        try
        {
            _cancel.Token.ThrowIfCancellationRequested();
            await foreach (GenerationEvent next in generate(request, _cancel.Token))
            {
                _events.Writer.TryWrite((index, next));
                finished |= next is GenerationFinished;
            }
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            // The engine may have reported the end itself before it noticed the cancellation.
            if (!finished)
                _events.Writer.TryWrite((index, new GenerationFinished("", FinishReason.Abort)));
        }
        catch (Exception e)
        {
            Interlocked.CompareExchange(ref _failure, e, null);
            await _cancel.CancelAsync();
        }

        if (Interlocked.Decrement(ref _unfinished) == 0)
            _events.Writer.TryComplete();
    }

    private void ThrowIfFailed()
    {
        if (Volatile.Read(ref _failure) is { } failure)
            ExceptionDispatchInfo.Throw(failure);
    }
}
