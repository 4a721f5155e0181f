using System.Diagnostics;
using Eigengate.Bench;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;
using Eigengate.Inference.Sampling;

namespace Eigengate.LlamaCpp;

/// <summary>The engine with the model that llama.cpp also runs: bfloat16 like llama.cpp's LoRAs, greedy, no prefix cache.</summary>
internal sealed class EngineUnderTest : IAsyncDisposable
{
    private const string Cluster = "cluster";
    private readonly EngineLoop _loop;
    private readonly RandomAdapters _random;
    private readonly Dictionary<string, ClusterBasis> _basis;

    public EngineUnderTest(string folder, int threads, int basisRank)
    {
        _loop = new EngineLoop(Engine.Load(folder, new EngineOptions
        {
            DType = EngineDType.BFloat16,
            CoreDType = EngineDType.BFloat16,
            Threads = threads,
            PrefixCache = false,
            AdapterSlots = 64,
            MaxSequences = 64,
            KvCacheBytes = 1L << 30,
        }));
        _random = new RandomAdapters(Config);
        _basis = _random.Cluster(basisRank, seed: 1);
        _loop.Engine.AddCluster(Cluster, _basis);
    }

    private ModelConfig Config => _loop.Engine.Config;

    public async Task<int[]> GreedyAsync(int[] prompt, int tokens, CancellationToken cancel) =>
        (await RunAsync(prompt, tokens, null, cancel)).Ids;

    public async Task<double> PrefillSecondsAsync(int length, int seed, CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        await RunAsync(Prompt(seed, length), 1, null, cancel);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Seconds from the moment when every sequence has its first token until all have <paramref name="steps"/> more.</summary>
    public async Task<double> GenerateSecondsAsync(int batch, int steps, int start, CancellationToken cancel)
    {
        var runs = await Task.WhenAll(Enumerable.Range(0, batch).Select(s => RunAsync(Prompt(s, start), steps + 1, null, cancel)));
        return Stopwatch.GetElapsedTime(runs.Max(r => r.First), runs.Max(r => r.Last)).TotalSeconds;
    }

    /// <summary>Seconds for requests with an adapter each, all sent at once; the adapters are in their slots already, as llama.cpp's are loaded.</summary>
    public async Task<double> AdaptersSecondsAsync(int requests, int length, int steps, CancellationToken cancel)
    {
        ResidentAdapter[] leases = [.. Enumerable.Range(0, requests).Select(i => _loop.Engine.LoadAdapter(_random.Compressed($"adapter-{i}", Cluster, _basis, seed: i)))];
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(leases.Select((lease, i) => RunAsync(Prompt(i, length), steps, lease, cancel)));
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Share of the step time that is not the model's, while sequences with an adapter each decode.</summary>
    public async Task<double> ShareOutsideModelAsync(int batch, int steps, CancellationToken cancel)
    {
        TimeSpan step = _loop.Engine.Metrics.StepTime, model = _loop.Engine.Metrics.ModelTime;
        await AdaptersSecondsAsync(batch, 1, steps, cancel);
        return 1 - ((_loop.Engine.Metrics.ModelTime - model) / (_loop.Engine.Metrics.StepTime - step));
    }

    public int[] Prompt(int seed, int length) =>
        [.. Enumerable.Range(0, length).Select(i => 300 + (int)(((seed * 1000L) + i) * 7919 % (Config.VocabularySize - 300)))];

    public ValueTask DisposeAsync() => _loop.DisposeAsync();

    private async Task<(int[] Ids, long First, long Last)> RunAsync(int[] prompt, int tokens, ResidentAdapter? adapter, CancellationToken cancel)
    {
        var sampling = new SamplingParams { MaxTokens = tokens, Temperature = 0, IgnoreEos = true };
        var ids = new List<int>(tokens);
        long first = 0;
        await foreach (GenerationEvent item in _loop.GenerateAsync(new GenerationRequest("bench", prompt, sampling, adapter), cancel))
        {
            if (item is not TokenGenerated token)
                continue;
            if (ids.Count == 0)
                first = Stopwatch.GetTimestamp();
            ids.Add(token.TokenId);
        }

        return ([.. ids], first, Stopwatch.GetTimestamp());
    }
}
