using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Tests;

/// <summary>What a sequence says is its own affair: its prompt, its adapter, its seed.</summary>
public class BatchIndependenceTests
{
    private const int Strangers = 64;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Sequence_among_64_strangers_says_what_it_says_alone(bool reference)
    {
        using var model = new TestModel();
        EngineOptions options = TestEngine.Options(reference) with { MaxSequences = Strangers + 1, MaxBatchedTokens = 512, PrefixCache = false };
        using Engine alone = Engine.Load(model.Directory, options);
        using Engine shared = Engine.Load(model.Directory, options);
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (6, 4));
        alone.AddCluster("cluster", bases);
        shared.AddCluster("cluster", bases);
        foreach (SamplingParams sampling in Samplings())
        {
            TestStream expected = alone.Start(model.Prompt(21, 7), sampling, Adapter(alone, bases, 3));
            alone.RunToEnd();
            var random = new Random(9);
            TestStream? found = null;
            for (int i = 0; i <= Strangers; i++)
            {
                if (i == Strangers / 2)
                    found = shared.Start(model.Prompt(21, 7), sampling, Adapter(shared, bases, 3));
                else
                    shared.Start(model.Prompt(random.Next(1, 40), 100 + i), TestEngine.Greedy(random.Next(1, 40)) with { Temperature = 1, Seed = i }, Adapter(shared, bases, i % 12));
            }

            shared.Step();
            Assert.Equal(Strangers + 1, shared.Stats.Running + shared.Stats.Waiting);
            shared.RunToEnd();
            Assert.Equal(30, found!.Ids.Length);
            Assert.Equal(expected.Ids, found.Ids);
            Close.Assert(Scores(expected), Scores(found), 1e-4);
        }
    }

    private static IEnumerable<SamplingParams> Samplings()
    {
        SamplingParams drawn = TestEngine.Greedy(30) with { Temperature = 1, Seed = 5, Logprobs = 0 };
        yield return TestEngine.Greedy(30) with { Logprobs = 0 };
        yield return drawn;
        yield return drawn with { TopP = 0.9f, TopK = 20 };
        yield return drawn with { RepetitionPenalty = 1.3f, FrequencyPenalty = 0.5f, MinP = 0.02f };
    }

    private static float[] Scores(TestStream stream) => [.. stream.Events.OfType<TokenGenerated>().Select(t => t.Logprobs!.Chosen.Logprob)];

    private static ResidentAdapter? Adapter(Engine engine, IReadOnlyDictionary<string, ClusterBasis> bases, int i) =>
        i == 0 ? null : engine.LoadAdapter(TestAdapters.Adapter($"a{i}", "cluster", bases, i));
}
