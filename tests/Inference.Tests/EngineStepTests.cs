using Eigengate.Inference.Adapters;

namespace Eigengate.Inference.Tests;

public class EngineStepTests
{
    [Fact]
    public void Preemption_under_a_tiny_block_pool_gives_the_same_tokens()
    {
        using var model = new TestModel();
        using Engine roomy = Engine.Load(model.Directory, TestEngine.Options());
        using Engine tight = Engine.Load(model.Directory, TestEngine.Options() with { KvBlocks = 7 });
        int[][] prompts = [.. Enumerable.Range(0, 6).Select(i => model.Prompt(10 + (5 * i), i))];
        var scored = TestEngine.Greedy(40) with { PromptLogprobs = 0 };

        TestStream[] streams = [.. prompts.Select(p => tight.Start(p, scored))];
        tight.RunToEnd();
        Assert.True(tight.Stats.Preemptions > 0, "the pool was not tight");
        for (int i = 0; i < prompts.Length; i++)
        {
            Assert.Equal(roomy.Generate(prompts[i], 40), streams[i].Ids);
            Assert.Equal(prompts[i].Length, Assert.Single(streams[i].Events.OfType<PromptScored>()).Tokens.Count);
        }
    }

    [Fact]
    public void Mixed_prefill_and_decode_under_a_small_budget_gives_the_same_tokens()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { MaxBatchedTokens = 9 });
        int[][] prompts = [.. Enumerable.Range(0, 5).Select(i => model.Prompt(3 + (11 * i), i))];
        var streams = new List<TestStream>();
        foreach (int[] prompt in prompts)
        {
            streams.Add(engine.Start(prompt, TestEngine.Greedy(30)));
            engine.Step();
            engine.Step();
        }

        engine.RunToEnd();
        for (int i = 0; i < prompts.Length; i++)
            Assert.Equal(engine.Generate(prompts[i], 30), streams[i].Ids);
    }

    [Fact]
    public void Aborted_sequence_frees_blocks_and_slot_within_one_step_at_every_stage()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { MaxSequences = 1, AdapterSlots = 1, MaxBatchedTokens = 8 });
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (4, 4));
        engine.AddCluster("cluster", bases);
        AdapterWeights weights = TestAdapters.Adapter("a", "cluster", bases, 1), other = TestAdapters.Adapter("b", "cluster", bases, 2);

        // In the inbox, waiting behind another, in the middle of its prompt, and while decoding.
        foreach (int steps in (int[])[0, 2, 8])
        {
            TestStream stream = engine.Start(model.Prompt(30, 1), TestEngine.Greedy(50), engine.LoadAdapter(weights));
            TestStream behind = engine.Start(model.Prompt(30, 2), TestEngine.Greedy(50), engine.LoadAdapter(weights));
            for (int i = 0; i < steps; i++)
                engine.Step();
            Assert.Throws<AdapterSlotsExhaustedException>(() => engine.LoadAdapter(other));
            engine.Abort(behind.Sequence);
            engine.Abort(stream.Sequence);
            engine.Abort(stream.Sequence);
            engine.Step();
            engine.Check();

            Assert.Equal(FinishReason.Abort, stream.End!.Reason);
            Assert.Equal(FinishReason.Abort, behind.End!.Reason);
            Assert.Equal(0, engine.Stats.KvBlocksUsed);
            Assert.Equal((0, 0), (engine.Stats.Running, engine.Stats.Waiting));
            engine.LoadAdapter(other).Dispose();
        }
    }

    [Fact]
    public void Thousands_of_random_steps_with_aborts_leave_nothing_behind()
    {
        using var model = new TestModel(layers: 1, hidden: 16, intermediate: 16, heads: 2, kvHeads: 1);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { KvBlocks = 20, MaxSequences = 5, AdapterSlots = 4, MaxBatchedTokens = 20 });
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (3, 3), "self_attn.q_proj", "mlp.down_proj");
        engine.AddCluster("cluster", bases);
        var random = new Random(5);
        var streams = new List<TestStream>();
        for (int step = 0; step < 10_000; step++)
        {
            if (random.Next(3) == 0)
            {
                try
                {
                    ResidentAdapter? adapter = random.Next(4) switch
                    {
                        0 => null,
                        1 => engine.LoadAdapter(AdapterWeights.Exact($"exact-{step}", "v1", TestAdapters.Exact(model.Config, step, 2, "self_attn.v_proj"))),
                        _ => engine.LoadAdapter(TestAdapters.Adapter($"adapter-{random.Next(8)}", "cluster", bases, 1)),
                    };
                    streams.Add(engine.Start(model.Prompt(random.Next(1, 60), step), TestEngine.Greedy(random.Next(40)), adapter));
                }
                catch (AdapterSlotsExhaustedException)
                {
                }
            }

            if (streams.Count > 0 && random.Next(8) == 0)
                engine.Abort(streams[random.Next(streams.Count)].Sequence);
            if (random.Next(50) == 0)
                engine.UnloadAdapter($"adapter-{random.Next(8)}", "v1");
            engine.Step();
            engine.Check();
        }

        engine.RunToEnd();
        Assert.All(streams, s => Assert.NotNull(s.End));
        Assert.Equal(0, engine.Stats.KvBlocksUsed);
        Assert.Equal((0, 0), (engine.Stats.Running, engine.Stats.Waiting));
        Assert.True(engine.Stats.AdapterSlotsUsed <= 4);
    }

    [Fact]
    public void Failing_sequence_does_not_touch_the_others()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        TestStream good = engine.Start(model.Prompt(5, 1), TestEngine.Greedy(10));

        // Impossible parameters that validation should have stopped.
        TestStream bad = engine.Start(model.Prompt(5, 2), TestEngine.Greedy(10) with { Logprobs = -1 });
        engine.RunToEnd();
        Assert.Equal(engine.Generate(model.Prompt(5, 1), 10), good.Ids);
        Assert.NotNull(Assert.Throws<GenerationFailedException>(bad.Drain).InnerException);
        Assert.Equal(0, engine.Stats.KvBlocksUsed);
        Assert.Equal((1, 2), (engine.Metrics.Failed, engine.Metrics.Finished(FinishReason.Length)));
    }

    [Fact]
    public void Sequence_ends_at_the_context_length()
    {
        using var model = new TestModel(context: 24);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        TestStream stream = engine.Start(model.Prompt(20, 1), TestEngine.Greedy(100));
        engine.RunToEnd();
        Assert.Equal(4, stream.Ids.Length);
        Assert.Equal(FinishReason.Length, stream.End!.Reason);
        Assert.Throws<ArgumentException>(() => engine.Start(model.Prompt(25, 1), TestEngine.Greedy(1)));
    }

    [Theory]
    [InlineData(new int[0])]
    [InlineData(new[] { -1 })]
    [InlineData(new[] { 5, 96 })]
    public void Prompt_outside_of_the_vocabulary_is_refused(int[] prompt)
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        Assert.Throws<ArgumentException>(() => engine.Start(prompt, TestEngine.Greedy(1)));
    }

    [Fact]
    public void Generated_tokens_carry_the_log_probabilities_that_scoring_finds()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        int[] prompt = model.Prompt(7, 1);
        TestStream stream = engine.Start(prompt, TestEngine.Greedy(9) with { Logprobs = 1 });
        engine.RunToEnd();
        TestStream scored = engine.Start([.. prompt, .. stream.Ids], TestEngine.Greedy(0) with { PromptLogprobs = 1 });
        engine.RunToEnd();
        float[] expected = [.. stream.Events.OfType<TokenGenerated>().Select(t => t.Logprobs!.Chosen.Logprob)];
        float[] found = [.. scored.Drain().OfType<PromptScored>().Single().Tokens.Skip(prompt.Length).Select(t => t!.Chosen.Logprob)];
        Close.Assert(expected, found, 1e-4);
    }
}
