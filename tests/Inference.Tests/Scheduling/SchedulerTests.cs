using System.Threading.Channels;
using CsCheck;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Scheduling;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Scheduling;

public sealed class SchedulerTests : IDisposable
{
    private readonly TestModel _model = new();
    private readonly Tokenizer _tokenizer;

    public SchedulerTests() => _tokenizer = Tokenizer.Load(_model.Directory);

    public void Dispose() => _model.Dispose();

    [Fact]
    public void Prompts_are_cut_to_the_token_budget_and_decoding_goes_first()
    {
        var (scheduler, pool) = Create(blocks: 100, maxRunning: 8, budget: 10);
        Sequence first = Add(scheduler, pool, prompt: 4);
        Assert.Equal([4], Step(scheduler));
        Sequence second = Add(scheduler, pool, prompt: 25);
        Assert.Equal([1, 9], Step(scheduler));
        Assert.Equal([1, 9], Step(scheduler));
        Assert.Equal([1, 7], Step(scheduler));
        Assert.Equal([1, 1], Step(scheduler));
        Assert.Equal(0, first.Remaining - 1);
        Assert.Equal(0, second.Remaining - 1);
    }

    [Fact]
    public void At_most_the_allowed_sequences_run()
    {
        var (scheduler, pool) = Create(blocks: 100, maxRunning: 2, budget: 100);
        for (int i = 0; i < 5; i++)
            Add(scheduler, pool, prompt: 3);
        Assert.Equal(2, Step(scheduler).Length);
        Assert.Equal(3, scheduler.Waiting.Count);
    }

    [Fact]
    public void Youngest_sequence_is_preempted_when_blocks_run_out_and_comes_back_first()
    {
        var (scheduler, pool) = Create(blocks: 2, maxRunning: 8, budget: 100);
        Sequence first = Add(scheduler, pool, prompt: 16), second = Add(scheduler, pool, prompt: 16), third = Add(scheduler, pool, prompt: 1);
        Assert.Equal([16, 16], Step(scheduler));
        Assert.Equal([1], Step(scheduler));
        Assert.Equal(SequenceStatus.Waiting, second.Status);
        Assert.Equal([second, third], scheduler.Waiting);
        Assert.Equal(1, scheduler.Preemptions);

        scheduler.Finish(first);
        Assert.Equal([17], Step(scheduler));
        Assert.Equal(SequenceStatus.Running, second.Status);
    }

    [Fact]
    public void Preempted_sequence_computes_only_what_left_the_cache()
    {
        var pool = new KvBlockPool(5, 16, new PrefixIndex(5, 16));
        var scheduler = new Scheduler(pool, 8, 100);
        Sequence first = Add(scheduler, pool, prompt: 32, token: 2), second = Add(scheduler, pool, prompt: 32, token: 3);
        Assert.Equal([32, 32], Step(scheduler));
        Assert.Equal([1], Step(scheduler));
        Assert.Equal((SequenceStatus.Waiting, 0), (second.Status, second.Blocks.Count));

        scheduler.Finish(first);
        Assert.Equal([1], Step(scheduler));
        Assert.Equal((33, 0, 64, 0), (second.Computed, second.CachedPromptTokens, scheduler.PrefixQueries, scheduler.PrefixHits));
    }

    [Fact]
    public void Prompt_chunks_and_a_full_pool_respect_shared_blocks()
    {
        var pool = new KvBlockPool(6, 16, new PrefixIndex(6, 16));
        var scheduler = new Scheduler(pool, 8, 20);
        Sequence first = Add(scheduler, pool, prompt: 65);
        Assert.Equal([20], Step(scheduler));
        Assert.Equal([20], Step(scheduler));

        // Five blocks are promised to the first; two of the second's are the same, so one free block is all it needs besides.
        Sequence second = Add(scheduler, pool, prompt: 40);
        Assert.Equal([20], Step(scheduler));
        Assert.Equal([5, 8], Step(scheduler));
        Assert.Equal(32, second.CachedPromptTokens);
        Assert.Equal(first.Blocks.Blocks[..2].ToArray(), second.Blocks.Blocks[..2].ToArray());
    }

    [Fact]
    public void Random_schedules_with_aborts_keep_every_invariant_and_finish_everything()
    {
        Gen.Select(
                Gen.Int[4, 30], Gen.Int[1, 6], Gen.Int[1, 40], Gen.Bool, Gen.Int[0, 3].Select(i => new[] { 1, 20, 50, int.MaxValue }[i]), Gen.Select(Gen.Int[0, 9], Gen.Int[1, 60], Gen.Int[1, 30]).Array[1, 12])
            .Sample(
                (blocks, maxRunning, budget, keep, window, actions) =>
                {
                    var pool = new KvBlockPool(blocks, 16, keep ? new PrefixIndex(blocks, 16) : null);
                    var scheduler = new Scheduler(pool, maxRunning, budget, window);
                    var live = new List<(Sequence Sequence, int Limit)>();
                    foreach (var (action, length, extra) in actions)
                    {
                        int longest = blocks * 16;
                        if (action < 4)
                            live.Add((Add(scheduler, pool, Math.Min(length, longest - 1), 2 + (extra % 2), length % 3, caller: $"{action}"), Math.Min(length + extra, longest)));
                        else if (action == 4 && live.Count > 0)
                            Assert.True(scheduler.Finish(live[length % live.Count].Sequence));
                        Advance(scheduler, live, budget);
                    }

                    for (int steps = 0; live.Count > 0; steps++)
                    {
                        Assert.True(steps < 20_000, "no progress");
                        Advance(scheduler, live, budget);
                    }

                    Assert.Equal(0, pool.Used);
                    Assert.Empty(scheduler.Running);
                    Assert.Empty(scheduler.Waiting);
                },
                iter: 10_000);
    }

    private static void Advance(Scheduler scheduler, List<(Sequence Sequence, int Limit)> live, int budget)
    {
        live.RemoveAll(l => l.Sequence.Status == SequenceStatus.Finished);
        IReadOnlyList<ScheduledSequence> scheduled = scheduler.Schedule();
        scheduler.Check();
        Assert.True(scheduled.Sum(s => s.Tokens) <= budget);
        Assert.Equal(scheduled.Count, scheduled.Select(s => s.Sequence).Distinct().Count());
        Assert.True(scheduled.Count > 0 || live.Count == 0, "something waits but nothing runs");
        foreach (ScheduledSequence s in scheduled)
        {
            Assert.InRange(s.Tokens, 1, s.Sequence.Remaining);
            scheduler.Commit(s);
            if (s.Sequence.Remaining == 0)
                s.Sequence.Append(2);
        }

        foreach (var (sequence, limit) in live.Where(l => l.Sequence.Tokens.Count >= l.Limit).ToList())
            scheduler.Finish(sequence);
        live.RemoveAll(l => l.Sequence.Status == SequenceStatus.Finished);
        scheduler.Check();
    }

    /// <summary>Runs a step that appends a token to every sequence that reached its end; returns the scheduled token counts.</summary>
    private static int[] Step(Scheduler scheduler)
    {
        ScheduledSequence[] scheduled = [.. scheduler.Schedule()];
        foreach (ScheduledSequence s in scheduled)
        {
            scheduler.Commit(s);
            if (s.Sequence.Remaining == 0)
                s.Sequence.Append(2);
        }

        scheduler.Check();
        return [.. scheduled.Select(s => s.Tokens)];
    }

    private static (Scheduler Scheduler, KvBlockPool Pool) Create(int blocks, int maxRunning, int budget)
    {
        var pool = new KvBlockPool(blocks, 16);
        return (new Scheduler(pool, maxRunning, budget), pool);
    }

    private Sequence Add(Scheduler scheduler, KvBlockPool pool, int prompt, int token = 2, int priority = 0, string? caller = null)
    {
        int[] ids = [.. Enumerable.Repeat(token, prompt)];
        SamplingParams sampling = TestEngine.Greedy(1000);
        var sequence = new Sequence(
            new GenerationRequest("request", ids, sampling, null, priority, caller),
            pool,
            Channel.CreateUnbounded<GenerationEvent>().Writer,
            new TokenSampler(sampling, 96, 1, [], ids),
            new OutputText(_tokenizer, sampling));
        scheduler.Add(sequence);
        return sequence;
    }
}
