using Eigengate.Bench;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;

namespace Eigengate.Gpu;

/// <summary>What one sequence generated greedily.</summary>
internal sealed record Generated(int[] Ids, float[] Logprobs)
{
    /// <summary>All prompts at once; <paramref name="adapterOf"/> leases each one's adapter.</summary>
    public static async Task<Generated[]> RunAsync(EngineLoop loop, int[][] prompts, int tokens, Func<int, ResidentAdapter?> adapterOf, CancellationToken cancel)
    {
        ResidentAdapter?[] adapters = [.. prompts.Select((_, i) => adapterOf(i))];
        return await Task.WhenAll(prompts.Select((prompt, i) => OneAsync(loop, prompt, tokens, adapters[i], cancel)));
    }

    public static int[] Prompt(ModelShape shape, int length, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(3, shape.Vocabulary))];
    }

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
}
