using CsCheck;
using Eigengate.Inference.KvCache;

namespace Eigengate.Inference.Tests;

/// <summary>Models with a window in every layer: blocks before it are let go. That logits stay right is in ModelFamilyTests.</summary>
public class SlidingWindowTests
{
    private const int Window = 24, BlockSize = 4;

    private static readonly EngineOptions Options = TestEngine.Options() with { BlockSize = BlockSize, MaxBatchedTokens = 16 };

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Long_sequence_holds_no_more_blocks_than_its_window_needs(bool prefixCache)
    {
        using TestModel model = Mistral();
        using Engine engine = Engine.Load(model.Directory, Options with { PrefixCache = prefixCache });
        engine.Start(model.Prompt(100, 1), TestEngine.Greedy(100));
        int most = 0;
        while (engine.Step())
        {
            engine.Check();
            most = Math.Max(most, engine.Stats.KvBlocksUsed);
        }

        // The next row looks at itself and 23 positions before it, without a window at up to 50 blocks.
        Assert.InRange(most, Window / BlockSize, (Window / BlockSize) + 1);
        Assert.Equal(0, engine.Stats.KvBlocksUsed);
    }

    [Fact]
    public void Answers_equal_those_of_the_float64_model_far_beyond_the_window()
    {
        using TestModel model = Mistral();
        using Engine engine = Engine.Load(model.Directory, Options);
        int[] prompt = model.Prompt(70, 3);
        TestStream stream = engine.Start(prompt, TestEngine.Greedy(60) with { Logprobs = 0, PromptLogprobs = 0 });
        engine.RunToEnd();

        int[] tokens = [.. prompt, .. stream.Ids];
        float[][] logits = new Float64Decoder(model).Logits(tokens[..^1]);
        float[] expected = [.. logits.Select((row, i) => (float)LogSoftmax(row, tokens[i + 1]))];
        float[] found =
        [
            .. stream.Events.OfType<PromptScored>().Single().Tokens.Skip(1).Select(t => t!.Chosen.Logprob),
            .. stream.Events.OfType<TokenGenerated>().Select(t => t.Logprobs!.Chosen.Logprob),
        ];
        Close.Assert(expected, found, 1e-3);
    }

    [Fact]
    public void Pool_smaller_than_one_prompt_runs_several_at_once()
    {
        using TestModel model = Mistral();
        using Engine roomy = Engine.Load(model.Directory, Options);
        using Engine tight = Engine.Load(model.Directory, Options with { KvBlocks = 60 });
        int[][] prompts = [.. Enumerable.Range(0, 5).Select(i => model.Prompt(150, i))];
        TestStream[] streams = [.. prompts.Select(p => tight.Start(p, TestEngine.Greedy(50)))];
        int most = 0;
        while (tight.Step())
            most = Math.Max(most, tight.Stats.Running);
        tight.Check();

        // Each has 200 positions, 50 blocks; together they never need the 250.
        Assert.Equal(5, most);
        for (int i = 0; i < prompts.Length; i++)
            Assert.Equal(roomy.Generate(prompts[i], 50), streams[i].Ids);
    }

    [Fact]
    public void Random_schedules_give_the_same_tokens_with_and_without_the_prefix_cache()
    {
        using TestModel model = Mistral();
        using Engine cached = Engine.Load(model.Directory, Options with { KvBlocks = 34, MaxSequences = 8 });
        using Engine plain = Engine.Load(model.Directory, Options with { PrefixCache = false });
        int[][] stems = [.. Enumerable.Range(0, 2).Select(i => model.Prompt(90, i))];
        Gen.Select(Gen.Int[0, 1], Gen.Int[1, 90], Gen.Int[1, 40], Gen.Int[0, 6], Gen.Int[0, 5]).Array[1, 10].Sample(
            requests =>
            {
                var streams = new List<(TestStream Stream, int[] Prompt, int Tokens)>();
                foreach (var (stem, length, tokens, steps, kind) in requests)
                {
                    int[] prompt = [.. stems[stem].Take(length), 2 + tokens];
                    streams.Add((cached.Start(prompt, TestEngine.Greedy(tokens)), prompt, tokens));
                    for (int i = 0; i < steps; i++)
                        cached.Step();
                    cached.Check();
                    if (kind == 0)
                        cached.Abort(streams[0].Stream.Sequence);
                }

                cached.RunToEnd();
                Assert.Equal(0, cached.Stats.KvBlocksUsed);
                foreach (var (stream, prompt, tokens) in streams.Where(s => s.Stream.End!.Reason != FinishReason.Abort))
                    Assert.Equal(plain.Generate(prompt, tokens), stream.Ids);
            },
            iter: 40,
            threads: 1);
        Assert.True(cached.Stats.PrefixCacheHits > 0, "nothing was ever found");
        Assert.True(cached.Stats.Preemptions > 0, "the pool was not tight");
    }

    [Fact]
    public void Block_that_is_let_go_stays_in_use_where_it_is_shared()
    {
        var pool = new KvBlockPool(6, 2, new PrefixIndex(6, 2));
        int[] tokens = [1, 2, 3, 4, 5, 6];
        var first = new KvBlockTable(pool, PrefixRoot.BaseModel);
        Assert.True(first.TryReserve(6));
        first.KeepPrefix(tokens, 6);
        var second = new KvBlockTable(pool, PrefixRoot.BaseModel);
        Assert.Equal(4, second.SharePrefix(tokens, 5));

        first.DropBefore(5);
        pool.Check([first, second]);
        Assert.Equal((3, 1, 3), (first.Count, first.Held.Length, pool.Used));
        Assert.Equal(first.Blocks[2] * 2, first.Slot(4));
        second.Release();
        Assert.Equal(1, pool.Used);
        first.Release();
        Assert.Equal((0, 0), (pool.Used, first.Count));
    }

    private static TestModel Mistral() => new TestModel(family: "mistral", layers: 2, seed: 9).With("sliding_window", Window);

    private static double LogSoftmax(float[] logits, int chosen)
    {
        double max = logits.Max();
        return logits[chosen] - max - Math.Log(logits.Sum(l => Math.Exp(l - max)));
    }
}
