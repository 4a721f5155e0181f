using Eigengate.Bench;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;

namespace Eigengate.Gpu;

/// <summary>
/// Small random models on the device: its own kernels against torch operations, a mixed batch against one by one, and
/// recorded decode steps against launched ones. Greedy tokens must be equal in float32; log-probabilities within a tolerance.
/// </summary>
internal static class Check
{
    private const int Tokens = 12, Sequences = 21;

    /// <summary>Widths and heads with and without tails.</summary>
    private static readonly ModelShape[] Shapes =
    [
        ModelShape.Known[^1],
        new("odd", 50, 67, 2, 9, 3, 18, 131, 512, Tied: false),
        new("one KV head", 64, 96, 1, 8, 1, 64, 200, 1024, Tied: true),
        new("wide heads", 96, 128, 1, 2, 2, 256, 128, 512, Tied: false),
    ];

    public static async Task<bool> RunAsync(string device, CancellationToken cancel)
    {
        bool good = true;
        foreach (ModelShape shape in Shapes)
        {
            string folder = Directory.CreateTempSubdirectory("eigengate-check-").FullName;
            try
            {
                RandomCheckpoint.Write(folder, shape);
                foreach (EngineDType dtype in (EngineDType[])[EngineDType.Float32, EngineDType.BFloat16])
                    good &= await CompareAsync(folder, shape, Options(device, dtype), cancel);
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        return good;
    }

    private static EngineOptions Options(string device, EngineDType dtype) => new()
    {
        Device = device,
        DType = dtype,
        KvCacheBytes = 64 << 20,
        MaxSequences = 64,
        AdapterSlots = 64,
        MaxBatchedTokens = 512,
        PrefixCache = false,
    };

    private static async Task<bool> CompareAsync(string folder, ModelShape shape, EngineOptions options, CancellationToken cancel)
    {
        string what = $"shape '{shape.Name}', {options.DType}";
        Generated[] kernels = await TogetherAsync(folder, shape, options, cancel);
        Generated[] reference = await TogetherAsync(folder, shape, options with { ReferenceKernels = true }, cancel);
        Generated[] launched = await TogetherAsync(folder, shape, options with { CudaGraphs = false }, cancel);
        Generated[] alone = await OneByOneAsync(folder, shape, options, cancel);
        return Report(kernels, reference, options.DType, $"{what}: kernels = torch operations")
            & Report(kernels, launched, options.DType, $"{what}: recorded steps = launched steps")
            & Report(kernels, alone, options.DType, $"{what}: mixed batch = one by one")
            & Outcome.Print(kernels.Select(g => string.Join(',', g.Ids)).Distinct().Count() > Sequences / 2, $"{what}: adapters and prompts make a difference");
    }

    /// <summary>Up to where the tokens agree: with rounded numbers a near tie may turn the other way, and what follows is another text.</summary>
    private static bool Report(Generated[] expected, Generated[] actual, EngineDType dtype, string what)
    {
        double largest = 0;
        int equal = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            for (int t = 0; t < Tokens && (t == 0 || expected[i].Ids[t - 1] == actual[i].Ids[t - 1]); t++)
                largest = Math.Max(largest, Math.Abs(expected[i].Logprobs[t] - actual[i].Logprobs[t]));
            equal += expected[i].Ids.AsSpan().SequenceEqual(actual[i].Ids) ? 1 : 0;
        }

        bool good = dtype == EngineDType.Float32 ? equal == expected.Length && largest < 2e-3 : largest < 0.25;
        return Outcome.Print(good, $"{what} ({equal} of {expected.Length} sequences equal, log-probabilities within {largest:E1})");
    }

    private static async Task<Generated[]> TogetherAsync(string folder, ModelShape shape, EngineOptions options, CancellationToken cancel)
    {
        await using var loop = new EngineLoop(Engine.Load(folder, options));
        Func<int, ResidentAdapter?> adapters = Adapters(loop.Engine);
        return await Generated.RunAsync(loop, [.. Enumerable.Range(0, Sequences).Select(i => Prompt(shape, i))], Tokens, adapters, cancel);
    }

    private static async Task<Generated[]> OneByOneAsync(string folder, ModelShape shape, EngineOptions options, CancellationToken cancel)
    {
        await using var loop = new EngineLoop(Engine.Load(folder, options));
        Func<int, ResidentAdapter?> adapters = Adapters(loop.Engine);
        var results = new Generated[Sequences];
        for (int i = 0; i < Sequences; i++)
        {
            int which = i;
            results[i] = (await Generated.RunAsync(loop, [Prompt(shape, i)], Tokens, _ => adapters(which), cancel))[0];
        }

        return results;
    }

    private static int[] Prompt(ModelShape shape, int i) => Generated.Prompt(shape, i % 4 == 0 ? 150 + i : 3 + (2 * i), i);

    /// <summary>The base, two clusters of different ranks, and exact adapters.</summary>
    private static Func<int, ResidentAdapter?> Adapters(Engine engine)
    {
        var random = new RandomAdapters(engine.Config, strength: 0.3);
        Dictionary<string, ClusterBasis>[] bases = [random.Cluster(rank: 8, seed: 1), random.Cluster(rank: 19, seed: 2)];
        for (int c = 0; c < bases.Length; c++)
            engine.AddCluster($"cluster-{c}", bases[c]);
        return i => (i % 4) switch
        {
            0 => null,
            1 => engine.LoadAdapter(random.Exact($"exact-{i}", rank: 5, seed: i)),
            _ => engine.LoadAdapter(random.Compressed($"compressed-{i}", $"cluster-{i % 2}", bases[i % 2], seed: i)),
        };
    }
}
