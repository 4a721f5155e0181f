using Eigengate.Inference.Adapters;

namespace Eigengate.Inference.Tests;

public class EngineLoopTests
{
    [Fact]
    public async Task Concurrent_requests_stream_the_same_tokens_as_alone()
    {
        using var model = new TestModel();
        using Engine alone = Engine.Load(model.Directory, TestEngine.Options());
        await using var loop = new EngineLoop(Engine.Load(model.Directory, TestEngine.Options()));
        int[][] results = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(() => Collect(loop, model.Prompt(5 + i, i), 15))));
        for (int i = 0; i < results.Length; i++)
            Assert.Equal(alone.Generate(model.Prompt(5 + i, i), 15), results[i]);
    }

    [Fact]
    public async Task Leaving_or_cancelling_the_enumeration_frees_everything()
    {
        using var model = new TestModel(context: 4096);
        await using var loop = new EngineLoop(Engine.Load(model.Directory, TestEngine.Options()));
        for (int i = 0; i < 20; i++)
        {
            await foreach (GenerationEvent item in loop.GenerateAsync(Request(model.Prompt(5, i), 4000)))
            {
                if (item is TokenGenerated)
                    break;
            }

            using var cancellation = new CancellationTokenSource();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                await foreach (GenerationEvent item in loop.GenerateAsync(Request(model.Prompt(5, i), 4000), cancellation.Token))
                    cancellation.Cancel();
            });

            using var unread = new CancellationTokenSource();
            _ = loop.GenerateAsync(Request(model.Prompt(5, i), 4000), unread.Token);
            unread.Cancel();
        }

        await Until(() => loop.Stats is { Running: 0, Waiting: 0, KvBlocksUsed: 0 });
        Assert.Equal(3, (await Collect(loop, model.Prompt(4, 1), 3)).Length);
    }

    [Fact]
    public async Task Full_queue_is_refused_before_any_event_and_the_lease_stays_with_the_caller()
    {
        using var model = new TestModel(context: 4096);
        await using var loop = new EngineLoop(Engine.Load(model.Directory, TestEngine.Options() with { MaxSequences = 1, MaxWaiting = 1, AdapterSlots = 1 }));
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (4, 4));
        loop.Engine.AddCluster("cluster", bases);
        using var stop = new CancellationTokenSource();
        _ = loop.GenerateAsync(Request(model.Prompt(5, 1), 4000), stop.Token);
        await Until(() => loop.Stats.Running == 1);
        _ = loop.GenerateAsync(Request(model.Prompt(5, 1), 4000), stop.Token);

        using ResidentAdapter adapter = loop.Engine.LoadAdapter(TestAdapters.Adapter("a", "cluster", bases, 1));
        Assert.Throws<EngineOverloadedException>(() => loop.GenerateAsync(Request(model.Prompt(5, 1), 1) with { Adapter = adapter }));
        adapter.Dispose();
        loop.Engine.LoadAdapter(TestAdapters.Adapter("b", "cluster", bases, 1)).Dispose();

        stop.Cancel();
        await Until(() => loop.Stats is { Running: 0, Waiting: 0 });
        Assert.Equal(2, (await Collect(loop, model.Prompt(4, 1), 2)).Length);
    }

    [Fact]
    public async Task Shutdown_ends_running_sequences_with_abort_and_refuses_new_ones()
    {
        using var model = new TestModel(context: 4096);
        var loop = new EngineLoop(Engine.Load(model.Directory, TestEngine.Options()));
        var streams = Enumerable.Range(0, 3).Select(i => loop.GenerateAsync(Request(model.Prompt(5, i), 4000))).ToList();
        await Until(() => loop.Stats.Running == 3);
        await loop.DisposeAsync();
        foreach (IAsyncEnumerable<GenerationEvent> stream in streams)
        {
            GenerationEvent? last = null;
            await foreach (GenerationEvent item in stream)
                last = item;
            Assert.Equal(FinishReason.Abort, Assert.IsType<GenerationFinished>(last).Reason);
        }

        Assert.Throws<EngineOverloadedException>(() => loop.GenerateAsync(Request(model.Prompt(5, 1), 1)));
    }

    [Fact]
    public async Task Adapters_load_while_others_run()
    {
        using var model = new TestModel();
        using Engine alone = Engine.Load(model.Directory, TestEngine.Options());
        await using var loop = new EngineLoop(Engine.Load(model.Directory, TestEngine.Options() with { AdapterSlots = 6 }));
        int[][] results = await Task.WhenAll(Enumerable.Range(0, 30).Select(i => Task.Run(async () =>
        {
            while (true)
            {
                try
                {
                    ResidentAdapter adapter = Load(loop.Engine, model, i % 10);
                    return await Collect(loop, model.Prompt(6, i), 10, adapter);
                }
                catch (AdapterSlotsExhaustedException)
                {
                    await Task.Delay(5);
                }
            }
        })));
        for (int i = 0; i < results.Length; i++)
            Assert.Equal(alone.Generate(model.Prompt(6, i), 10, Load(alone, model, i % 10)), results[i]);
    }

    /// <summary>Clusters of growing size, so that the slab must be replaced while sequences run.</summary>
    private static ResidentAdapter Load(Engine engine, TestModel model, int i)
    {
        if (i % 2 == 0)
            return engine.LoadAdapter(AdapterWeights.Exact($"exact-{i}", "v1", TestAdapters.Exact(model.Config, i, 2 + i)));
        var bases = TestAdapters.Cluster(model.Config, i, _ => (3 * i, 2 * i));
        try
        {
            engine.AddCluster($"cluster-{i}", bases);
        }
        catch (InvalidAdapterException) when (engine.HasCluster($"cluster-{i}"))
        {
        }

        return engine.LoadAdapter(TestAdapters.Adapter($"adapter-{i}", $"cluster-{i}", bases, i));
    }

    private static GenerationRequest Request(int[] prompt, int tokens) => new("request", prompt, TestEngine.Greedy(tokens));

    private static async Task<int[]> Collect(EngineLoop loop, int[] prompt, int tokens, ResidentAdapter? adapter = null)
    {
        var ids = new List<int>();
        await foreach (GenerationEvent item in loop.GenerateAsync(Request(prompt, tokens) with { Adapter = adapter }))
        {
            if (item is TokenGenerated token)
                ids.Add(token.TokenId);
        }

        return [.. ids];
    }

    private static async Task Until(Func<bool> condition)
    {
        for (int i = 0; !condition(); i++)
        {
            Assert.True(i < 2000, "the engine did not get there in 20 s");
            await Task.Delay(10);
        }
    }
}
