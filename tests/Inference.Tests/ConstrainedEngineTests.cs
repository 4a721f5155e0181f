using Eigengate.Inference.Sampling;
using Eigengate.Inference.Sampling.Constraints;

namespace Eigengate.Inference.Tests;

/// <summary>Constrained sequences in the engine. The test model's tokens are words w2, w3, …</summary>
public class ConstrainedEngineTests
{
    private const string Pattern = "(w[2-4]w1[0-9]){12,30}w5";

    [Fact]
    public void Constrained_and_free_sequences_share_a_batch_and_give_what_they_give_alone()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        SamplingParams sampling = Constrained(engine);
        int[][] prompts = [.. Enumerable.Range(0, 8).Select(i => model.Prompt(5 + (3 * i), i))];
        string[] alone = [.. prompts.Select((prompt, i) => Text(engine, prompt, sampling with { Seed = i }))];
        int[] free = engine.Generate(prompts[0], 40);

        TestStream[] together = [.. prompts.Select((prompt, i) => engine.Start(prompt, sampling with { Seed = i }))];
        TestStream beside = engine.Start(prompts[0], TestEngine.Greedy(40));
        engine.RunToEnd();
        Assert.Equal(alone, together.Select(TextOf));
        Assert.Equal(free, beside.Ids);
        Assert.All(alone, text => Assert.Matches($"^{Pattern}$", text));
        Assert.True(alone.Distinct().Count() > 4);
    }

    [Fact]
    public void Preemption_does_not_lose_the_place_in_the_constraint()
    {
        using var model = new TestModel();
        using Engine roomy = Engine.Load(model.Directory, TestEngine.Options());
        using Engine tight = Engine.Load(model.Directory, TestEngine.Options() with { KvBlocks = 7 });
        int[][] prompts = [.. Enumerable.Range(0, 6).Select(i => model.Prompt(10 + (5 * i), i))];
        SamplingParams sampling = Constrained(tight);
        TestStream[] streams = [.. prompts.Select((prompt, i) => tight.Start(prompt, sampling with { Seed = i }))];
        tight.RunToEnd();
        Assert.True(tight.Stats.Preemptions > 0, "the pool was not tight");
        for (int i = 0; i < prompts.Length; i++)
            Assert.Equal(Text(roomy, prompts[i], Constrained(roomy) with { Seed = i }), TextOf(streams[i]));
    }

    [Fact]
    public void A_sequence_whose_mask_is_not_there_yet_is_left_out_of_the_steps_of_others()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        SamplingParams sampling = Constrained(engine);
        string expected = Text(engine, model.Prompt(5, 1), sampling with { Seed = 1 });

        // Until the gate opens, the one thread that finds masks is busy.
        using var gate = new ManualResetEventSlim();
        using var busy = new ManualResetEventSlim();
        CancellationToken cancel = TestContext.Current.CancellationToken;
        MaskThread.Enqueue(() =>
        {
            busy.Set();
            gate.Wait(TimeSpan.FromSeconds(30));
        });
        busy.Wait(cancel);
        TestStream constrained = engine.Start(model.Prompt(5, 1), Constrained(engine) with { Seed = 1 });
        TestStream aborted = engine.Start(model.Prompt(5, 1), Constrained(engine) with { Seed = 1 });
        TestStream free = engine.Start(model.Prompt(9, 2), TestEngine.Greedy(60));
        for (int i = 0; i < 60; i++)
            engine.Step();
        Assert.NotNull(free.End);
        // The first mask was made with the constraint; the second has to wait.
        Assert.Single(constrained.Ids);
        engine.Abort(aborted.Sequence);
        Assert.True(engine.Step());
        Assert.Equal(FinishReason.Abort, aborted.End!.Reason);

        gate.Set();
        engine.RunToEnd();
        Assert.Equal(expected, TextOf(constrained));
    }

    [Fact]
    public void A_text_that_cannot_go_on_fails_alone()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        TestStream stuck = engine.Start(model.Prompt(5, 1), Constrained(engine) with { AllowedTokenIds = [1, 2, 3] });
        TestStream free = engine.Start(model.Prompt(9, 2), TestEngine.Greedy(20));
        engine.RunToEnd();
        Assert.IsType<NoTokenPossibleException>(Assert.Throws<GenerationFailedException>(() => stuck.Drain()).InnerException);
        Assert.Equal(20, free.Ids.Length);
    }

    private static SamplingParams Constrained(Engine engine) => new()
    {
        MaxTokens = 100,
        Constraint = new TokenMasks(new OutputConstraint(OutputConstraint.Form.Regex, Pattern).Compile(), engine.Tokenizer),
    };

    private static string Text(Engine engine, IReadOnlyList<int> prompt, SamplingParams sampling)
    {
        TestStream stream = engine.Start(prompt, sampling);
        engine.RunToEnd();
        return TextOf(stream);
    }

    private static string TextOf(TestStream stream) => string.Concat(stream.Drain().Select(e => e switch
    {
        TokenGenerated token => token.Text,
        GenerationFinished finished => finished.Text,
        _ => "",
    }));
}
