// Decode speed of one model directory: tokens per second by batch size, adapters and back end.
// Usage: Decode <model directory> [float32|bfloat16] [threads] [basis rank]
using System.Diagnostics;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;
using Eigengate.Inference.Sampling;

string directory = args[0];
EngineDType dtype = args.Length > 1 && args[1] == "bfloat16" ? EngineDType.BFloat16 : EngineDType.Float32;
int threads = args.Length > 2 ? int.Parse(args[2]) : 1;
int rank = args.Length > 3 ? int.Parse(args[3]) : 16;
int tokens = args.Length > 4 ? int.Parse(args[4]) : 200;

Console.WriteLine($"{directory}, {dtype}, {threads} thread(s), basis rank {rank}, {tokens} tokens each");
Console.WriteLine("kernels  batch  adapters              tokens/s  CPU ms/step");
foreach (bool reference in (bool[])[false, true])
{
    if (reference && args.Length > 5)
        break;
    await using var loop = new EngineLoop(Engine.Load(directory, new EngineOptions
    {
        DType = dtype,
        Threads = threads,
        ReferenceKernels = reference,
        AdapterSlots = 64,
        KvCacheBytes = 256 << 20,
    }));
    var basis = Basis(loop.Engine.Config, rank);
    loop.Engine.AddCluster("cluster", basis);
    foreach (int batch in (int[])[1, 8, 48])
    {
        foreach (var (label, distinct) in ((string, int)[])[("none", 0), ("1, compressed", 1), ($"{batch}, compressed", batch)])
        {
            if (label == "none" || batch > 1 || distinct == 1)
                await MeasureAsync(loop, basis, reference ? "torch" : "fused", batch, label, distinct, tokens);
        }
    }
}

static async Task MeasureAsync(
    EngineLoop loop, IReadOnlyDictionary<string, ClusterBasis> basis, string kernels, int batch, string label, int distinct, int tokens)
{
    // Processor time, not wall time, is stable on a shared machine; the best of three repeats counts.
    double best = double.MaxValue, cpu = double.MaxValue;
    for (int repeat = 0; repeat < 3; repeat++)
    {
        var adapters = Enumerable.Range(0, batch).Select(i => distinct == 0 ? null : loop.Engine.LoadAdapter(Adapter(basis, i % distinct))).ToArray();
        long before = loop.Stats.Steps, start = Stopwatch.GetTimestamp();
        TimeSpan used = Environment.CpuUsage.TotalTime;
        await Task.WhenAll(Enumerable.Range(0, batch).Select(i => DrainAsync(loop, i, tokens, adapters[i])));
        best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        cpu = Math.Min(cpu, (Environment.CpuUsage.TotalTime - used).TotalMilliseconds / (loop.Stats.Steps - before));
    }

    Console.WriteLine($"{kernels,-8} {batch,5}  {label,-20}  {batch * tokens / best,8:F0}  {cpu,11:F3}");
}

static async Task DrainAsync(EngineLoop loop, int i, int tokens, ResidentAdapter? adapter)
{
    var sampling = new SamplingParams { MaxTokens = tokens, Temperature = 0, IgnoreEos = true };
    await foreach (GenerationEvent item in loop.GenerateAsync(new GenerationRequest($"bench-{i}", [1, 3 + i, 5, 7, 9], sampling, adapter)))
    {
    }
}

static AdapterWeights Adapter(IReadOnlyDictionary<string, ClusterBasis> basis, int i)
{
    var random = new Random(i);
    return new AdapterWeights($"adapter-{i}", "1", "cluster", basis.ToDictionary(b => b.Key, b => Values(random, b.Value.RU * b.Value.RV)));
}

static Dictionary<string, ClusterBasis> Basis(ModelConfig config, int rank)
{
    var random = new Random(1);
    var shapes = new (string Name, int Out, int In)[]
    {
        ("self_attn.q_proj", config.QueryWidth, config.HiddenSize),
        ("self_attn.k_proj", config.KvWidth, config.HiddenSize),
        ("self_attn.v_proj", config.KvWidth, config.HiddenSize),
        ("self_attn.o_proj", config.HiddenSize, config.QueryWidth),
        ("mlp.gate_proj", config.IntermediateSize, config.HiddenSize),
        ("mlp.up_proj", config.IntermediateSize, config.HiddenSize),
        ("mlp.down_proj", config.HiddenSize, config.IntermediateSize),
    };
    return (from layer in Enumerable.Range(0, config.Layers) from shape in shapes select (layer, shape)).ToDictionary(
        m => $"model.layers.{m.layer}.{m.shape.Name}",
        m => new ClusterBasis(
            Values(random, m.shape.Out * rank), Values(random, m.shape.In * rank), m.shape.Out, m.shape.In, rank, rank));
}

static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() - 0.5f) * 0.02f)];
