using System.Collections;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Tests.Adapters;

/// <summary>How adapters come to the device and leave it.</summary>
public class AdapterLoadingTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>The load stands still at its first, second or fourth look at the weights: while it is checked, laid out or copied.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public async Task Steps_run_to_their_end_while_a_load_stands_still(int look)
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        AdapterWeights other = AdapterWeights.Exact("other", "v1", TestAdapters.Exact(model.Config, 1, 2));
        TestStream running = engine.Start(model.Prompt(5, 1), TestEngine.Greedy(20), engine.LoadAdapter(other));
        engine.Step();

        using var gated = new GatedFactors(TestAdapters.Exact(model.Config, 2, 3, "self_attn.v_proj"), look);
        Task<ResidentAdapter> load = Task.Run(() => engine.LoadAdapterAsync(AdapterWeights.Exact("slow", "v1", gated), Cancel), Cancel);
        await gated.Reached.WaitAsync(Cancel);

        // Sequences run and end, adapters are leased, loaded and given back: all on this thread, with the load in the middle.
        engine.RunToEnd();
        Assert.Equal(20, running.Ids.Length);
        engine.LoadAdapter(other with { Id = "third" }).Dispose();
        Assert.Equal(8, engine.Generate(model.Prompt(4, 2), 8).Length);
        Assert.False(load.IsCompleted);
        Assert.False(engine.TryAcquire("slow", "v1", out _));

        gated.Open();
        using (ResidentAdapter lease = await load)
            Assert.Equal("slow", lease.Id);
        engine.Check();
    }

    [Fact]
    public async Task Who_waits_for_room_gets_it_in_order_and_only_pages_hold_up_those_who_need_pages()
    {
        using var model = new TestModel(layers: 1);
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (3, 3));
        AdapterWeights Exact(string id) => AdapterWeights.Exact(id, "v1", TestAdapters.Exact(model.Config, 1, 4, "self_attn.q_proj"));
        // Rank 4 on one module takes 8 pages of 64 numbers: the pool holds two such adapters.
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { AdapterSlots = 3, AdapterPoolBytes = 16 * 64 * 4 });
        engine.AddCluster("cluster", bases);
        ResidentAdapter a = engine.LoadAdapter(Exact("a")), b = engine.LoadAdapter(Exact("b"));
        Assert.Contains("adapter pool of 4096 bytes", Assert.Throws<AdapterSlotsExhaustedException>(() => engine.LoadAdapter(Exact("c"))).Message, StringComparison.Ordinal);

        Task<ResidentAdapter> c = engine.LoadAdapterAsync(Exact("c"), Cancel), d = engine.LoadAdapterAsync(Exact("d"), Cancel);
        Task<ResidentAdapter> compressed = engine.LoadAdapterAsync(TestAdapters.Adapter("e", "cluster", bases, 1), Cancel);
        (await compressed).Dispose();
        Assert.Equal((2, false, false), (engine.Adapters.Waiting, c.IsCompleted, d.IsCompleted));

        a.Dispose();
        using ResidentAdapter third = await c;
        Assert.Equal((1, false), (engine.Adapters.Waiting, d.IsCompleted));
        b.Dispose();
        using ResidentAdapter fourth = await d;
        Assert.Equal((0, 4096L), (engine.Adapters.Waiting, engine.Adapters.PoolBytesUsed));
        engine.Check();
    }

    [Fact]
    public async Task Everyone_who_asks_during_one_load_gets_a_lease_of_it_and_who_leaves_does_not()
    {
        using var model = new TestModel(layers: 1);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { AdapterSlots = 1 });
        ResidentAdapter holder = engine.LoadAdapter(AdapterWeights.Exact("holder", "v1", TestAdapters.Exact(model.Config, 1, 2)));
        AdapterWeights wanted = AdapterWeights.Exact("wanted", "v1", TestAdapters.Exact(model.Config, 2, 2));
        using var leaving = new CancellationTokenSource();
        Task<ResidentAdapter> stays = engine.LoadAdapterAsync(wanted, Cancel), goes = engine.LoadAdapterAsync(wanted, leaving.Token);
        Task<ResidentAdapter> alone = engine.LoadAdapterAsync(wanted with { Id = "alone" }, leaving.Token);
        Assert.Equal(2, engine.Adapters.Waiting);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => goes);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => alone);
        Assert.Equal(1, engine.Adapters.Waiting);
        holder.Dispose();
        ResidentAdapter lease = await stays;
        Assert.Equal(1, engine.Adapters.Leased);
        lease.Dispose();
        Assert.Equal((0, 2L), (engine.Adapters.Leased, engine.Adapters.Loads));
        engine.Check();
    }

    [Fact]
    public async Task Waiting_loads_end_with_the_engine()
    {
        using var model = new TestModel(layers: 1);
        Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { AdapterSlots = 1 });
        AdapterWeights weights = AdapterWeights.Exact("a", "v1", TestAdapters.Exact(model.Config, 1, 2));
        engine.LoadAdapter(weights);
        Task<ResidentAdapter> waiting = engine.LoadAdapterAsync(weights with { Id = "b" }, Cancel);
        engine.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => engine.LoadAdapterAsync(weights with { Id = "c" }, Cancel));
    }

    /// <summary>Random leases, against a list in order of use: what is resident, what gave way, hits and misses.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Random_leases_leave_exactly_the_most_recently_used_in_place(int seed)
    {
        const int Slots = 5;
        using var model = new TestModel(layers: 1, hidden: 16, intermediate: 16, heads: 2, kvHeads: 1);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { AdapterSlots = Slots });
        var factors = TestAdapters.Exact(model.Config, 1, 1, "self_attn.q_proj");
        var random = new Random(seed);
        var order = new List<string>();
        var held = new List<ResidentAdapter>();
        long hits = 0, misses = 0, evictions = 0;
        for (int i = 0; i < 3000; i++)
        {
            string id = $"adapter-{random.Next(12)}";
            if (held.Count > 0 && (held.Count == Slots || random.Next(2) == 0))
            {
                ResidentAdapter lease = held[random.Next(held.Count)];
                held.Remove(lease);
                lease.Dispose();
                // Used until now; while another lease lasts it cannot give way anyhow.
                order.Remove(lease.Id);
                order.Add(lease.Id);
            }
            else
            {
                bool hit = engine.TryAcquire(id, "v1", out ResidentAdapter? lease);
                Assert.Equal(order.Contains(id), hit);
                (hits, misses) = hit ? (hits + 1, misses) : (hits, misses + 1);
                if (!hit && order.Count == Slots)
                {
                    order.Remove(order.First(other => held.All(h => h.Id != other)));
                    evictions++;
                }

                held.Add(lease ?? engine.LoadAdapter(AdapterWeights.Exact(id, "v1", factors)));
                if (!hit)
                    order.Add(id);
            }

            AdapterStats stats = engine.Adapters;
            Assert.Equal((order.Count, held.Select(h => h.Id).Distinct().Count()), (stats.SlotsUsed, stats.Leased));
            Assert.Equal((hits, misses, misses, evictions), (stats.Hits, stats.Misses, stats.Loads, stats.Evictions));
        }

        engine.Check();
    }

    /// <summary>Loads with waiting, leaving callers, requests, aborts, unloads, adapters of any rank over a small pool: after every step all is accounted for.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Ten_thousand_random_steps_with_aborts_lose_no_slot_and_no_page(int seed)
    {
        using var model = new TestModel(layers: 1, hidden: 16, intermediate: 16, heads: 2, kvHeads: 1);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with
        {
            KvBlocks = 40,
            MaxSequences = 6,
            AdapterSlots = 6,
            MaxBatchedTokens = 24,
            AdapterPoolBytes = 24 * 64 * 4,
        });
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (3, 3), "self_attn.q_proj", "mlp.down_proj");
        engine.AddCluster("cluster", bases);
        AdapterWeights[] adapters = [.. Enumerable.Range(0, 16).Select(i => (i % 4) switch
        {
            0 => TestAdapters.Adapter($"adapter-{i}", "cluster", bases, i),
            1 => TestAdapters.WithResidual(TestAdapters.Adapter($"adapter-{i}", "cluster", bases, i), model.Config, i, 1, "mlp.up_proj"),
            // 2 · rank pages: 2 to 12 of 24.
            _ => AdapterWeights.Exact($"adapter-{i}", "v1", TestAdapters.Exact(model.Config, i, 1 + (i % 6), "self_attn.v_proj")),
        })];
        var random = new Random(seed);
        var streams = new List<TestStream>();
        var loads = new List<(Task<ResidentAdapter> Load, CancellationTokenSource Cancel)>();
        // On a busy machine the steps would otherwise be over before the pool's threads had loaded anything.
        for (int step = 0; step < 5000 || streams.Count <= 100; step++)
        {
            await Task.Yield();
            if (random.Next(3) == 0 && loads.Count < 12)
            {
                var cancel = new CancellationTokenSource();
                loads.Add((engine.LoadAdapterAsync(adapters[random.Next(adapters.Length)], cancel.Token), cancel));
            }

            if (loads.Count > 0 && random.Next(10) == 0)
                await loads[random.Next(loads.Count)].Cancel.CancelAsync();
            foreach (var ended in loads.Where(l => l.Load.IsCompleted).ToList())
            {
                loads.Remove(ended);
                if (ended.Load.IsCompletedSuccessfully)
                    Use(await ended.Load);
                ended.Cancel.Dispose();
            }

            if (streams.Count > 0 && random.Next(6) == 0)
                engine.Abort(streams[random.Next(streams.Count)].Sequence);
            if (random.Next(50) == 0)
                engine.UnloadAdapter(adapters[random.Next(adapters.Length)].Id, "v1");
            engine.Step();
            engine.Check();
        }

        while (loads.Count > 0)
        {
            engine.RunToEnd();
            foreach (var ended in loads.Where(l => l.Load.IsCompleted).ToList())
            {
                loads.Remove(ended);
                if (ended.Load.IsCompletedSuccessfully)
                    (await ended.Load).Dispose();
                ended.Cancel.Dispose();
            }

            await Task.Yield();
        }

        engine.RunToEnd();
        Assert.All(streams, s => Assert.NotNull(s.End));
        Assert.True(streams.Count > 100, $"{streams.Count} sequences ran");
        Assert.Equal((0, 0), (engine.Adapters.Leased, engine.Adapters.Waiting));
        foreach (AdapterWeights adapter in adapters)
            engine.UnloadAdapter(adapter.Id, "v1");
        Assert.Equal((0, 0L), (engine.Adapters.SlotsUsed, engine.Adapters.PoolBytesUsed));
        engine.Check();

        void Use(ResidentAdapter lease)
        {
            if (random.Next(5) == 0)
                lease.Dispose();
            else
                streams.Add(engine.Start(model.Prompt(random.Next(1, 40), random.Next()), TestEngine.Greedy(random.Next(20)), lease));
        }
    }

    /// <summary>Many more adapters than slots, in random order: each answers as its dense model does.</summary>
    [Theory]
    [InlineData(false, 1024, 64)]
    [InlineData(false, 4096, 1024)]
    [InlineData(true, 1000, 64)]
    public async Task Thousands_of_adapters_over_few_slots_answer_as_dense_models(bool exact, int count, int slots)
    {
        using var model = new TestModel(layers: 1, hidden: 16, intermediate: 16, heads: 2, kvHeads: 1, vocabulary: 24);
        string[] projections = ["self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"];
        // Three modules of rank 2: 12 pages; exactly the given number of adapters has room.
        long pool = exact ? slots * 12L * 64 * 4 : 64 * 4;
        await using var loop = new EngineLoop(Engine.Load(model.Directory, TestEngine.Options() with { AdapterSlots = exact ? 1024 : slots, AdapterPoolBytes = pool }));
        Dictionary<string, ClusterBasis> bases = exact ? [] : TestAdapters.Cluster(model.Config, 1, _ => (3, 3), projections);
        loop.Engine.AddCluster("cluster", bases);
        AdapterWeights Weights(int i) => exact
            ? AdapterWeights.Exact($"adapter-{i}", "v1", TestAdapters.Exact(model.Config, i, 2, projections))
            : TestAdapters.Adapter($"adapter-{i}", "cluster", bases, i);

        int[] order = [.. Enumerable.Range(0, count), .. Enumerable.Range(0, count / 4)];
        new Random(7).Shuffle(order);
        int[] prompt = model.Prompt(3, 1);
        await Parallel.ForEachAsync(order, new ParallelOptions { MaxDegreeOfParallelism = 96, CancellationToken = Cancel }, async (i, cancel) =>
        {
            AdapterWeights weights = Weights(i);
            ResidentAdapter lease = loop.Engine.TryAcquire(weights.Id, "v1", out ResidentAdapter? present) ? present : await loop.Engine.LoadAdapterAsync(weights, cancel);
            bool compared = count <= 1024 || i % 8 == 0;
            float[] expected = !compared ? [0] : TestAdapters.Dense(model, bases, weights).Logits(prompt)[^1];
            var request = new GenerationRequest($"request-{i}", prompt, new SamplingParams { MaxTokens = 1, Temperature = 0, IgnoreEos = true, Logprobs = 1 }, lease);
            TokenGenerated token = (TokenGenerated)await loop.GenerateAsync(request, cancel).FirstAsync(item => item is TokenGenerated, cancel);
            double best = expected.Max(), sum = expected.Sum(v => Math.Exp(v - best));
            if (compared)
                Assert.Equal(-Math.Log(sum), token.Logprobs!.Chosen.Logprob, 1e-3);
        });

        AdapterStats stats = loop.Engine.Adapters;
        Assert.Equal(slots, stats.SlotsUsed);
        Assert.Equal(order.Length, stats.Hits + stats.Misses);
        Assert.InRange(stats.Loads, count, stats.Misses);
        Assert.Equal(stats.Loads - slots, stats.Evictions);
        Assert.True(stats.PoolBytesUsed <= stats.PoolBytes && (!exact || stats.PoolBytesUsed == pool), $"{stats}");
    }

    /// <summary>A dictionary that stands still when it is enumerated for the given time, until it is opened.</summary>
    private sealed class GatedFactors(IReadOnlyDictionary<string, LoraFactors> factors, int look) : IReadOnlyDictionary<string, LoraFactors>, IDisposable
    {
        private readonly ManualResetEventSlim _gate = new();
        private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _looks;

        public Task Reached => _reached.Task;

        public int Count => factors.Count;

        public IEnumerable<string> Keys => factors.Keys;

        public IEnumerable<LoraFactors> Values => factors.Values;

        public LoraFactors this[string key] => factors[key];

        public void Open() => _gate.Set();

        public bool ContainsKey(string key) => factors.ContainsKey(key);

        public bool TryGetValue(string key, [System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out LoraFactors value)
        {
            if (key.Contains("layers.1", StringComparison.Ordinal) && Interlocked.Increment(ref _looks) == look)
            {
                _reached.SetResult();
                _gate.Wait();
            }

            return factors.TryGetValue(key, out value);
        }

        public IEnumerator<KeyValuePair<string, LoraFactors>> GetEnumerator() => factors.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        public void Dispose() => _gate.Dispose();
    }
}
