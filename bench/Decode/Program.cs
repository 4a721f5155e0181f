using System.CommandLine;
using Eigengate.Bench;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;

var model = new Argument<string>("model") { Description = "Model folder; its weights may be random" };
var dtype = new Option<EngineDType>("--dtype") { Description = "Number type of weights and activations", DefaultValueFactory = _ => EngineDType.Float32 };
var coreType = new Option<EngineDType>("--core-dtype") { Description = "Number type of the adapters' cores", DefaultValueFactory = _ => EngineDType.Float32 };
var threads = new Option<int>("--threads") { Description = "Compute threads", DefaultValueFactory = _ => 1 };
var rank = new Option<int>("--rank") { Description = "Basis rank of the adapters on q, k and v", DefaultValueFactory = _ => 24 };
var exactRank = new Option<int>("--exact-rank") { Description = "Rank of the uncompressed adapters on q, k and v", DefaultValueFactory = _ => 16 };
var clusters = new Option<int>("--clusters") { Description = "Clusters that the distinct adapters spread over", DefaultValueFactory = _ => 4 };
var tokens = new Option<int>("--tokens") { Description = "Tokens each sequence generates", DefaultValueFactory = _ => 64 };
var rounds = new Option<int>("--rounds") { Description = "Interleaved rounds", DefaultValueFactory = _ => 21 };
var torchOnly = new Option<bool>("--torch-kernels") { Description = "Torch operations only: the reference back end" };

var root = new RootCommand("Decode speed of the engine alone, by batch size: the base, one adapter, distinct adapters of one and of several clusters, distinct uncompressed ones")
{
    model, dtype, coreType, threads, rank, exactRank, clusters, tokens, rounds, torchOnly,
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
        AdapterSlots = 256,
        KvCacheBytes = 256 << 20,
    }));
    int clusterCount = options.GetValue(clusters), exactRankOf = options.GetValue(exactRank);
    var random = new RandomAdapters(loop.Engine.Config);
    var basis = random.Cluster(options.GetValue(rank), seed: 1);
    for (int c = 0; c < clusterCount; c++)
        loop.Engine.AddCluster($"cluster-{c}", basis);

    Console.WriteLine($"tokens/s, median of {options.GetValue(rounds)} interleaved rounds; ratios are medians of pairs to one adapter");
    Console.WriteLine();
    Console.WriteLine($"| batch | base | 1 adapter | distinct, 1 cluster | distinct, {clusterCount} clusters | distinct, exact | base ÷ 1 | distinct ÷ 1 | distinct in {clusterCount} clusters ÷ 1 | exact ÷ 1 |");
    Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
    foreach (int batch in (int[])[1, 8, 48])
    {
        Func<int, AdapterWeights?>[] assignments =
        [
            _ => null, _ => Compressed(0, 0), i => Compressed(i, 0), i => Compressed(i, i % clusterCount), i => random.Exact($"exact-{i}", exactRankOf, i),
        ];
        var speeds = assignments.Select(_ => new List<double>()).ToArray();
        for (int round = -1; round < options.GetValue(rounds); round++)
        {
            for (int i = 0; i < assignments.Length; i++)
            {
                int turn = (i + round + 1) % assignments.Length;
                double speed = await GreedyLoad.TokensPerSecondAsync(loop, batch, options.GetValue(tokens), i => Leased(assignments[turn](i)), cancel);
                if (round >= 0)
                    speeds[turn].Add(speed);
            }
        }

        double Ratio(int turn) => Statistics.Median(speeds[turn].Zip(speeds[1], (a, b) => a / b));
        Console.WriteLine($"| {batch} | {string.Join(" | ", speeds.Select(s => Statistics.Median(s).ToString("F0")))} | {Ratio(0):F2} | {Ratio(2):F2} | {Ratio(3):F2} | {Ratio(4):F2} |");
    }

    ResidentAdapter? Leased(AdapterWeights? weights) => weights is null ? null : loop.Engine.LoadAdapter(weights);

    AdapterWeights Compressed(int i, int cluster) => random.Compressed($"adapter-{i}-{cluster}", $"cluster-{cluster}", basis, i);
}
