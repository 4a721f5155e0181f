using CsCheck;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Tests;

public class PrefixCacheEngineTests
{
    [Fact]
    public void Repeated_prompt_is_computed_from_its_last_block_on()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        int[] prompt = model.Prompt(32, 1);
        int[] first = engine.Generate(prompt, 20);
        Assert.Equal((32, 0), (engine.Stats.PrefixCacheQueries, engine.Stats.PrefixCacheHits));

        // Of two full blocks the second holds the last token, whose logits are needed.
        Assert.Equal(first, engine.Generate(prompt, 20));
        Assert.Equal((64, 16), (engine.Stats.PrefixCacheQueries, engine.Stats.PrefixCacheHits));

        // The answer is part of the prefix of whoever goes on from it: positions 0 to 50 are in the cache.
        engine.Generate([.. prompt, .. first, 5], 3);
        Assert.Equal((117, 64), (engine.Stats.PrefixCacheQueries, engine.Stats.PrefixCacheHits));
        Assert.Equal(0, engine.Stats.KvBlocksUsed);
    }

    [Fact]
    public void Prompt_whose_log_probabilities_are_wanted_is_computed_in_full()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        int[] prompt = model.Prompt(50, 1);
        SamplingParams scored = TestEngine.Greedy(5) with { PromptLogprobs = 1 };
        float[] Scores()
        {
            TestStream stream = engine.Start(prompt, scored);
            engine.RunToEnd();
            return [.. Assert.Single(stream.Drain().OfType<PromptScored>()).Tokens.Skip(1).Select(t => t!.Chosen.Logprob)];
        }

        float[] first = Scores();
        Assert.Equal(49, first.Length);
        Assert.Equal(first, Scores());
        Assert.Equal(0, engine.Stats.PrefixCacheHits);
    }

    [Fact]
    public void Adapter_registered_again_with_other_weights_finds_nothing_of_the_old()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (4, 4));
        engine.AddCluster("cluster", bases);
        int[] prompt = model.Prompt(40, 1);
        AdapterWeights old = TestAdapters.Adapter("a", "cluster", bases, 1);
        AdapterWeights renewed = TestAdapters.Adapter("a", "cluster", bases, 2) with { Version = "v2" };
        int[] before = engine.Generate(prompt, 20, engine.LoadAdapter(old));
        engine.UnloadAdapter("a", "v1");

        using Engine fresh = Engine.Load(model.Directory, TestEngine.Options() with { PrefixCache = false });
        fresh.AddCluster("cluster", bases);
        int[] after = engine.Generate(prompt, 20, engine.LoadAdapter(renewed));
        Assert.Equal(fresh.Generate(prompt, 20, fresh.LoadAdapter(renewed)), after);
        Assert.NotEqual(before, after);
        Assert.Equal(0, engine.Stats.PrefixCacheHits);

        Assert.Equal(after, engine.Generate(prompt, 20, engine.LoadAdapter(renewed)));
        Assert.Equal(32, engine.Stats.PrefixCacheHits);
    }

    [Fact]
    public void Preempted_sequences_go_on_from_their_kept_blocks_with_the_same_tokens()
    {
        using var model = new TestModel();
        using Engine roomy = Engine.Load(model.Directory, TestEngine.Options() with { PrefixCache = false });
        using Engine tight = Engine.Load(model.Directory, TestEngine.Options() with { KvBlocks = 9 });
        int[][] prompts = [.. Enumerable.Range(0, 3).Select(i => model.Prompt(40, i))];
        TestStream[] streams = [.. prompts.Select(p => tight.Start(p, TestEngine.Greedy(30) with { PromptLogprobs = 0 }))];
        tight.RunToEnd();
        Assert.True(tight.Stats.Preemptions > 0, "the pool was not tight");
        for (int i = 0; i < prompts.Length; i++)
        {
            Assert.Equal(roomy.Generate(prompts[i], 30), streams[i].Ids);
            Assert.Equal(40, Assert.Single(streams[i].Events.OfType<PromptScored>()).Tokens.Count);
        }
    }

    [Fact]
    public void Random_schedules_with_aborts_give_the_same_tokens_with_and_without_the_cache()
    {
        using var model = new TestModel(layers: 1);
        EngineOptions options = TestEngine.Options() with { KvBlocks = 24, BlockSize = 4, MaxSequences = 4, MaxBatchedTokens = 24 };
        using Engine cached = Engine.Load(model.Directory, options);
        using Engine plain = Engine.Load(model.Directory, options with { PrefixCache = false });
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (4, 4));
        cached.AddCluster("cluster", bases);
        plain.AddCluster("cluster", bases);

        // Adapters 1 and 2 are two versions of one id. Prompts begin with one of three stems.
        AdapterWeights?[] adapters =
        [
            null,
            TestAdapters.Adapter("a", "cluster", bases, 1),
            TestAdapters.Adapter("a", "cluster", bases, 2) with { Version = "v2" },
            TestAdapters.Adapter("b", "cluster", bases, 3),
        ];
        int[][] stems = [.. Enumerable.Range(0, 3).Select(i => model.Prompt(20, i))];
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 2], Gen.Int[1, 20], Gen.Int[1, 12], Gen.Int[0, 3], Gen.Int[0, 2]).Array[1, 14].Sample(
            requests =>
            {
                TestStream[] Run(Engine engine)
                {
                    var streams = new List<TestStream>();
                    foreach (var (adapter, stem, length, tokens, steps, kind) in requests)
                    {
                        SamplingParams sampling = kind == 1
                            ? new SamplingParams { MaxTokens = tokens, Temperature = 1, Seed = length, IgnoreEos = true }
                            : TestEngine.Greedy(tokens);
                        streams.Add(engine.Start([.. stems[stem].Take(length), 2 + tokens], sampling, adapters[adapter] is { } weights ? engine.LoadAdapter(weights) : null));
                        for (int i = 0; i < steps; i++)
                            engine.Step();
                        engine.Check();
                        if (kind == 2 && streams.Count > 1)
                            engine.Abort(streams[^2].Sequence);
                    }

                    engine.RunToEnd();
                    Assert.Equal(0, engine.Stats.KvBlocksUsed);
                    return [.. streams];
                }

                TestStream[] with = Run(cached), without = Run(plain);
                foreach (var (a, b) in with.Zip(without))
                {
                    // Where a sequence was aborted depends on how many steps it had by then.
                    int common = a.End!.Reason == FinishReason.Abort || b.End!.Reason == FinishReason.Abort ? Math.Min(a.Ids.Length, b.Ids.Length) : a.Ids.Length;
                    Assert.Equal(b.Ids[..common], a.Ids[..common]);
                    Assert.True(common == Math.Max(a.Ids.Length, b.Ids.Length) || a.End.Reason == FinishReason.Abort || b.End!.Reason == FinishReason.Abort);
                }
            },
            iter: 100,
            threads: 1);
        Assert.True(cached.Stats.PrefixCacheHits > 0, "nothing was ever found");
        Assert.Equal(0, plain.Stats.PrefixCacheQueries);
    }
}
