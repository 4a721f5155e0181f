using System.Runtime.CompilerServices;
using Eigengate.ComputeNode.Generation;
using Eigengate.Inference;
using Eigengate.Inference.Sampling;

namespace Eigengate.ComputeNode.Tests.Generation;

public sealed class SequenceGroupTests
{
    private static readonly SamplingParams Sampling = new() { MaxTokens = 4 };

    private int _live;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Events_ComeFromAllSequences_EachInOrder()
    {
        await using SequenceGroup group = await SequenceGroup.StartAsync(Requests(3), Counting, CancellationToken.None, Cancel);
        List<(int Index, GenerationEvent Event)> events = await ReadAsync(group);
        for (int index = 0; index < 3; index++)
        {
            GenerationEvent[] own = [.. events.Where(e => e.Index == index).Select(e => e.Event)];
            Assert.Equal([0, 1, 2, 3], own.OfType<TokenGenerated>().Select(t => t.TokenId));
            Assert.IsType<GenerationFinished>(own[^1]);
        }
    }

    [Fact]
    public async Task RefusalOfOne_IsThrownBeforeAnyEvent_AndEndsTheOthers()
    {
        int submitted = 0;
        await Assert.ThrowsAsync<EngineOverloadedException>(() => SequenceGroup.StartAsync(
            Requests(5),
            (request, cancel) => ++submitted == 3 ? throw new EngineOverloadedException("full") : Endless(request, cancel),
            CancellationToken.None,
            Cancel));
        Assert.Equal((3, 0), (submitted, _live));
    }

    [Fact]
    public async Task FailureOfOne_EndsTheOthers_AndIsThrownAtTheEnd()
    {
        await using SequenceGroup group = await SequenceGroup.StartAsync(
            Requests(3), (request, cancel) => request.Id == "1" ? Failing(cancel) : Endless(request, cancel), CancellationToken.None, Cancel);
        await Assert.ThrowsAsync<InvalidOperationException>(() => ReadAsync(group));
        Assert.Equal(0, _live);
    }

    [Fact]
    public async Task Ending_FinishesEverySequenceAsAborted()
    {
        using var ending = new CancellationTokenSource();
        await using SequenceGroup group = await SequenceGroup.StartAsync(Requests(2), Endless, ending.Token, Cancel);
        await ending.CancelAsync();
        List<(int Index, GenerationEvent Event)> events = await ReadAsync(group);
        Assert.Equal([0, 1], events.Where(e => e.Event is GenerationFinished { Reason: FinishReason.Abort }).Select(e => e.Index).Order());
    }

    [Fact]
    public async Task Disposing_EndsWhatStillRuns()
    {
        SequenceGroup group = await SequenceGroup.StartAsync(Requests(4), Endless, CancellationToken.None, Cancel);
        Assert.Equal(4, _live);
        await group.DisposeAsync();
        Assert.Equal(0, _live);
    }

    [Fact]
    public async Task EndingSequence_FinishesOnce_AlsoWhenTheEngineReportsItFirst()
    {
        using var ending = new CancellationTokenSource();
        await using SequenceGroup group = await SequenceGroup.StartAsync(Requests(3), ReportsItsEnd, ending.Token, Cancel);
        await ending.CancelAsync();
        List<(int Index, GenerationEvent Event)> events = await ReadAsync(group);
        Assert.Equal([0, 1, 2], events.Where(e => e.Event is GenerationFinished).Select(e => e.Index).Order());
    }

    private static GenerationRequest[] Requests(int count) => [.. Enumerable.Range(0, count).Select(i => new GenerationRequest($"{i}", [1], Sampling))];

    private static async Task<List<(int Index, GenerationEvent Event)>> ReadAsync(SequenceGroup group)
    {
        List<(int, GenerationEvent)> events = [];
        await foreach (var next in group.ReadAsync(Cancel))
            events.Add(next);
        return events;
    }

    private static async IAsyncEnumerable<GenerationEvent> Counting(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancel)
    {
        for (int i = 0; i < request.Sampling.MaxTokens; i++)
        {
            await Task.Yield();
            cancel.ThrowIfCancellationRequested();
            yield return new TokenGenerated(i, "x", null);
        }

        yield return new GenerationFinished("", FinishReason.Length);
    }

    private async IAsyncEnumerable<GenerationEvent> Endless(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancel)
    {
        Interlocked.Increment(ref _live);
        try
        {
            yield return new TokenGenerated(request.PromptIds[0], "x", null);
            await Task.Delay(Timeout.Infinite, cancel);
        }
        finally
        {
            Interlocked.Decrement(ref _live);
        }
    }

    private static async IAsyncEnumerable<GenerationEvent> ReportsItsEnd(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancel)
    {
        yield return new TokenGenerated(1, "x", null);
        await Task.Delay(Timeout.Infinite, cancel).ContinueWith(_ => { }, TaskScheduler.Default);
        yield return new GenerationFinished("", FinishReason.Abort);
        cancel.ThrowIfCancellationRequested();
    }

    private static async IAsyncEnumerable<GenerationEvent> Failing([EnumeratorCancellation] CancellationToken cancel)
    {
        yield return new TokenGenerated(1, "x", null);
        await Task.Delay(10, cancel);
        throw new InvalidOperationException("broken");
    }
}
