using System.CommandLine;
using System.Diagnostics;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;
using Eigengate.Inference.Sampling;

var model = new Argument<string>("model") { Description = "Model folder; its weights may be random" };
var dtype = new Option<EngineDType>("--dtype") { Description = "Number type of weights and activations", DefaultValueFactory = _ => EngineDType.Float32 };
var coreType = new Option<EngineDType>("--core-dtype") { Description = "Number type of the adapters' cores", DefaultValueFactory = _ => EngineDType.Float32 };
var threads = new Option<int>("--threads") { Description = "Compute threads", DefaultValueFactory = _ => 1 };
var rank = new Option<int>("--rank") { Description = "Basis rank of the adapters on q, k and v", DefaultValueFactory = _ => 24 };
var clusters = new Option<int>("--clusters") { Description = "Clusters that the distinct adapters spread over", DefaultValueFactory = _ => 4 };
var tokens = new Option<int>("--tokens") { Description = "Tokens each sequence generates", DefaultValueFactory = _ => 64 };
var rounds = new Option<int>("--rounds") { Description = "Interleaved rounds", DefaultValueFactory = _ => 21 };
var torchOnly = new Option<bool>("--torch-kernels") { Description = "Torch operations only: the reference back end" };

var root = new RootCommand("Decode speed of the engine alone, by batch size: the base, one adapter, distinct adapters of one and of several clusters")
{
    model, dtype, coreType, threads, rank, clusters, tokens, rounds, torchOnly,
};
root.SetAction(RunAsync);
return await root.Parse(args).InvokeAsync();

async Task RunAsync(ParseResult options, CancellationToken cancel)
{
    await using var loop = new EngineLoop(Engine.Load(options.GetValue(model)!, new EngineOptions
    {
        DType = options.GetValue(dtype),
        CoreDType = options.GetValue(coreType),
        Threads = options.GetValue(threads),
        ReferenceKernels = options.GetValue(torchOnly),
        AdapterSlots = 64,
        KvCacheBytes = 256 << 20,
    }));
    int clusterCount = options.GetValue(clusters);
    var basis = Basis(loop.Engine.Config, options.GetValue(rank));
    for (int c = 0; c < clusterCount; c++)
        loop.Engine.AddCluster($"cluster-{c}", basis);

    Console.WriteLine($"tokens/s, median of {options.GetValue(rounds)} interleaved rounds; ratios are medians of pairs to one adapter");
    Console.WriteLine();
    Console.WriteLine($"| batch | base | 1 adapter | distinct, 1 cluster | distinct, {clusterCount} clusters | base ÷ 1 | distinct ÷ 1 | distinct in {clusterCount} clusters ÷ 1 |");
    Console.WriteLine("|---|---|---|---|---|---|---|---|");
    foreach (int batch in (int[])[1, 8, 48])
    {
        Func<int, AdapterWeights?>[] assignments = [_ => null, _ => Adapter(basis, 0, 0), i => Adapter(basis, i, 0), i => Adapter(basis, i, i % clusterCount)];
        var speeds = assignments.Select(_ => new List<double>()).ToArray();
        for (int round = -1; round < options.GetValue(rounds); round++)
        {
            for (int i = 0; i < assignments.Length; i++)
            {
                int turn = (i + round + 1) % assignments.Length;
                double speed = await TokensPerSecondAsync(loop, batch, options.GetValue(tokens), assignments[turn], cancel);
                if (round >= 0)
                    speeds[turn].Add(speed);
            }
        }

        double Ratio(int turn) => Median(speeds[turn].Zip(speeds[1], (a, b) => a / b));
        Console.WriteLine($"| {batch} | {string.Join(" | ", speeds.Select(s => Median(s).ToString("F0")))} | {Ratio(0):F2} | {Ratio(2):F2} | {Ratio(3):F2} |");
    }
}

static async Task<double> TokensPerSecondAsync(EngineLoop loop, int batch, int tokens, Func<int, AdapterWeights?> adapterOf, CancellationToken cancel)
{
    var adapters = Enumerable.Range(0, batch).Select(i => adapterOf(i) is { } weights ? loop.Engine.LoadAdapter(weights) : null).ToArray();
    long start = Stopwatch.GetTimestamp();
    await Task.WhenAll(Enumerable.Range(0, batch).Select(i => DrainAsync(loop, i, tokens, adapters[i], cancel)));
    return batch * tokens / Stopwatch.GetElapsedTime(start).TotalSeconds;
}

static async Task DrainAsync(EngineLoop loop, int i, int tokens, ResidentAdapter? adapter, CancellationToken cancel)
{
    var sampling = new SamplingParams { MaxTokens = tokens, Temperature = 0, IgnoreEos = true };
    await foreach (GenerationEvent item in loop.GenerateAsync(new GenerationRequest($"bench-{i}", [1, 3 + i, 5, 7, 9], sampling, adapter), cancel))
    {
    }
}

static AdapterWeights Adapter(IReadOnlyDictionary<string, ClusterBasis> basis, int i, int cluster)
{
    var random = new Random(i);
    return new AdapterWeights($"adapter-{i}-{cluster}", "1", $"cluster-{cluster}", basis.ToDictionary(b => b.Key, b => Values(random, b.Value.RU * b.Value.RV)));
}

static Dictionary<string, ClusterBasis> Basis(ModelConfig config, int rank)
{
    var random = new Random(1);
    var shapes = new (string Name, int Out)[] { ("q_proj", config.QueryWidth), ("k_proj", config.KvWidth), ("v_proj", config.KvWidth) };
    return (from layer in Enumerable.Range(0, config.Layers) from shape in shapes select (layer, shape)).ToDictionary(
        m => $"model.layers.{m.layer}.self_attn.{m.shape.Name}",
        m => new ClusterBasis(Values(random, m.shape.Out * rank), Values(random, config.HiddenSize * rank), m.shape.Out, config.HiddenSize, rank, rank));
}

static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() - 0.5f) * 0.02f)];

static double Median(IEnumerable<double> values)
{
    double[] sorted = [.. values.Order()];
    return sorted[sorted.Length / 2];
}
