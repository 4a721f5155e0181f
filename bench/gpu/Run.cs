using System.Diagnostics;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;
using Eigengate.Inference.Sampling;

namespace Eigengate.Gpu;

/// <summary>What one sequence generated.</summary>
internal sealed record Generated(int[] Ids, float[] Logprobs);

/// <summary>Requests to an engine, and random adapters for it.</summary>
internal static class Run
{
    /// <summary>All prompts at once; <paramref name="adapterOf"/> leases each one's adapter.</summary>
    public static async Task<Generated[]> GenerateAsync(EngineLoop loop, int[][] prompts, int tokens, Func<int, ResidentAdapter?> adapterOf, CancellationToken cancel)
    {
        ResidentAdapter?[] adapters = [.. prompts.Select((_, i) => adapterOf(i))];
        return await Task.WhenAll(prompts.Select((prompt, i) => OneAsync(loop, prompt, tokens, adapters[i], cancel)));
    }

    /// <summary>Tokens per second of a batch that decodes together, prompts of five tokens included.</summary>
    public static async Task<double> SpeedAsync(EngineLoop loop, int batch, int tokens, Func<int, ResidentAdapter?> adapterOf, CancellationToken cancel)
    {
        ResidentAdapter?[] adapters = [.. Enumerable.Range(0, batch).Select(adapterOf)];
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(adapters.Select((adapter, i) => DrainAsync(loop, i, tokens, adapter, cancel)));
        return batch * tokens / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public static int[] Prompt(Shape shape, int length, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(2, shape.Vocabulary))];
    }

    /// <summary>A cluster's bases for q, k and v.</summary>
    public static Dictionary<string, ClusterBasis> Basis(ModelConfig config, int rank, int seed)
    {
        var random = new Random(seed);
        var modules = new (string Name, int Out)[] { ("q_proj", config.QueryWidth), ("k_proj", config.KvWidth), ("v_proj", config.KvWidth) };
        return (from layer in Enumerable.Range(0, config.Layers) from module in modules select (layer, module)).ToDictionary(
            m => $"model.layers.{m.layer}.self_attn.{m.module.Name}",
            m => new ClusterBasis(Values(random, m.module.Out * rank, 0.02f), Values(random, config.HiddenSize * rank, 0.02f), m.module.Out, config.HiddenSize, rank, rank));
    }

    public static AdapterWeights Adapter(IReadOnlyDictionary<string, ClusterBasis> basis, string cluster, int i)
    {
        var random = new Random(i);
        return new AdapterWeights($"adapter-{i}-{cluster}", "1", cluster, basis.ToDictionary(b => b.Key, b => Values(random, b.Value.RU * b.Value.RV, 3f / b.Value.RU)));
    }

    public static Dictionary<string, LoraFactors> Exact(ModelConfig config, int rank, int seed) => Basis(config, rank, seed).ToDictionary(
        b => b.Key, b => new LoraFactors([.. b.Value.V], [.. b.Value.U], b.Value.DOut, b.Value.DIn, rank, 2));

    private static async Task<Generated> OneAsync(EngineLoop loop, int[] prompt, int tokens, ResidentAdapter? adapter, CancellationToken cancel)
    {
        var sampling = new SamplingParams { MaxTokens = tokens, Temperature = 0, IgnoreEos = true, Logprobs = 0 };
        var ids = new List<int>();
        var logprobs = new List<float>();
        await foreach (GenerationEvent item in loop.GenerateAsync(new GenerationRequest(Guid.NewGuid().ToString("N"), prompt, sampling, adapter), cancel))
        {
            if (item is not TokenGenerated token)
                continue;
            ids.Add(token.TokenId);
            logprobs.Add(token.Logprobs!.Chosen.Logprob);
        }

        return new Generated([.. ids], [.. logprobs]);
    }

    private static async Task DrainAsync(EngineLoop loop, int i, int tokens, ResidentAdapter? adapter, CancellationToken cancel)
    {
        var sampling = new SamplingParams { MaxTokens = tokens, Temperature = 0, IgnoreEos = true };
        await foreach (GenerationEvent item in loop.GenerateAsync(new GenerationRequest($"speed-{i}", [2, 3 + (i % 100), 5, 7, 9], sampling, adapter), cancel))
        {
        }
    }

    private static float[] Values(Random random, int count, float spread) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() - 0.5f) * 2 * spread)];
}
