using System.Threading.Channels;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Tests;

/// <summary>One request in flight on an engine that a test steps by hand.</summary>
internal sealed class TestStream(Sequence sequence, ChannelReader<GenerationEvent> events)
{
    public Sequence Sequence { get; } = sequence;

    /// <summary>All events so far; throws what the sequence failed with.</summary>
    public List<GenerationEvent> Drain()
    {
        while (events.TryRead(out GenerationEvent? item))
            Events.Add(item);
        if (events.Completion.IsFaulted)
            throw events.Completion.Exception!.InnerException!;
        return Events;
    }

    public List<GenerationEvent> Events { get; } = [];

    public int[] Ids => [.. Drain().OfType<TokenGenerated>().Select(t => t.TokenId)];

    public GenerationFinished? End => Drain().OfType<GenerationFinished>().SingleOrDefault();
}

internal static class TestEngine
{
    public static SamplingParams Greedy(int maxTokens) => new() { MaxTokens = maxTokens, Temperature = 0, IgnoreEos = true };

    /// <summary>One thread: the suite shares the machine, and the models are tiny.</summary>
    public static EngineOptions Options(bool reference = false) => new()
    {
        ReferenceKernels = reference,
        Threads = 1,
        KvCacheBytes = 64 << 20,
        MaxSequences = 64,
        AdapterSlots = 64,
        MaxBatchedTokens = 256,
    };

    public static TestStream Start(this Engine engine, IReadOnlyList<int> prompt, SamplingParams sampling, ResidentAdapter? adapter = null)
    {
        var channel = Channel.CreateUnbounded<GenerationEvent>();
        var request = new GenerationRequest($"request-{Guid.NewGuid():N}", prompt, sampling, adapter);
        return new TestStream(engine.Submit(request, channel.Writer), channel.Reader);
    }

    public static void RunToEnd(this Engine engine)
    {
        while (engine.Step())
        {
        }

        engine.Check();
    }

    public static int[] Generate(this Engine engine, IReadOnlyList<int> prompt, int tokens, ResidentAdapter? adapter = null)
    {
        TestStream stream = engine.Start(prompt, Greedy(tokens), adapter);
        engine.RunToEnd();
        return stream.Ids;
    }
}
