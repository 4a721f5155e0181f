using Eigengate.Inference;
using Eigengate.Inference.Adapters;

namespace Eigengate.Bench.Serving.ManyAdapters;

internal sealed record ManyAdaptersOptions
{
    public required ModelShape Shape { get; init; }

    public required EngineDType DType { get; init; }

    public required int? Threads { get; init; }

    public required string Prompts { get; init; }

    public required Popularity Popularity { get; init; }

    public required BundleSizes Sizes { get; init; }

    public required int Rounds { get; init; }

    /// <summary>In a turn.</summary>
    public required int Requests { get; init; }

    public required int InFlight { get; init; }

    /// <summary>Where the picture goes.</summary>
    public required string? Plot { get; init; }
}

/// <summary>
/// The paper's serving experiment on one engine, in this process: sonnets, ten tokens each, from one adapter to 1,024. Everything
/// is compared in interleaved turns with the base without adapters, which costs what one adapter merged into the weights costs.
/// </summary>
internal sealed class ManyAdaptersBenchmark
{
    private const int Tokens = 10;
    private const int DecodeBatch = 64;
    private const double OpenLoopShare = 0.5;

    private static readonly int[] Counts = [1, 4, 16, 64, 256, 1024];

    private readonly ManyAdaptersOptions _options;
    private readonly EngineLoop _loop;
    private readonly Load _load;
    private readonly Population[] _populations;

    private ManyAdaptersBenchmark(ManyAdaptersOptions options, EngineLoop loop)
    {
        _options = options;
        _loop = loop;
        int[][] prompts = Sonnets.Load(options.Prompts, loop.Engine.Config.VocabularySize);
        _load = new Load(loop, prompts, Tokens);
        _populations = [.. Counts.Select(count =>
        {
            var (clusters, rank) = Population.Size(options.Sizes, count);
            return new Population(loop.Engine.Config, count, clusters, rank, seed: count);
        })];
        Console.WriteLine($"{prompts.Length} sonnets of {prompts.Average(p => p.Length):F0} tokens, {Tokens} new tokens each; {options.InFlight} requests in flight, "
            + $"{options.Requests} a turn, {options.Rounds} interleaved rounds; adapters drawn by {options.Popularity}; sizes {options.Sizes}; {options.DType}");
    }

    public static async Task RunAsync(ManyAdaptersOptions options, CancellationToken cancel)
    {
        DirectoryInfo model = Directory.CreateTempSubdirectory("eigengate-bench-");
        Engine engine;
        try
        {
            options.Shape.Write(model.FullName, seed: 1);
            engine = Engine.Load(model.FullName, new EngineOptions
            {
                DType = options.DType,
                Threads = options.Threads,
                AdapterSlots = Counts.Sum(),
                KvCacheBytes = 1 << 30,
                MaxSequences = Math.Max(options.InFlight, DecodeBatch),
                // The same sonnet comes again with the same adapter the more often the fewer adapters there are.
                PrefixCache = false,
            });
        }
        finally
        {
            model.Delete(recursive: true);
        }

        await using var loop = new EngineLoop(engine);
        var benchmark = new ManyAdaptersBenchmark(options, loop);
        foreach (Population population in benchmark._populations.OrderByDescending(p => p.Rank))
            population.Load(engine);
        await benchmark.ThroughputAsync(cancel);
        await benchmark.StepTimeAsync(cancel);
    }

    private async Task ThroughputAsync(CancellationToken cancel)
    {
        var turns = Enumerable.Range(0, Counts.Length + 1).Select(_ => new List<Turn>()).ToArray();
        for (int round = -1; round < _options.Rounds; round++)
        {
            for (int i = 0; i < turns.Length; i++)
            {
                // Rotate the order, so that nobody always runs first; the first round warms up.
                int which = (i + round + turns.Length) % turns.Length;
                int requests = round < 0 ? _options.InFlight : _options.Requests;
                Turn turn = await _load.ClosedLoopAsync(requests, _options.InFlight, Adapters(which, requests, round), cancel);
                if (round >= 0)
                    turns[which].Add(turn);
            }
        }

        Console.WriteLine();
        Console.WriteLine("| adapters | clusters | basis rank | MB | requests/s | ÷ merged | lowest – highest |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        Console.WriteLine($"| one, merged | | | | {Speed(turns[0]):F2} | 1 | |");
        var points = new List<(int, double, double, double)>();
        for (int i = 0; i < Counts.Length; i++)
        {
            Population population = _populations[i];
            double[] ratios = [.. turns[i + 1].Zip(turns[0], (a, b) => a.RequestsPerSecond / b.RequestsPerSecond)];
            points.Add((Counts[i], Values.Median(ratios), ratios.Min(), ratios.Max()));
            Console.WriteLine($"| {Counts[i]} | {population.Clusters} | {population.Rank} | {population.Bytes / 1e6:F1} | {Speed(turns[i + 1]):F2} | {Values.Median(ratios):F3} | {ratios.Min():F2} – {ratios.Max():F2} |");
        }

        if (_options.Plot is { } path)
            await File.WriteAllTextAsync(path, RatioPlot.Draw("Requests per second ÷ one merged adapter", [("compressed adapters", points)]), cancel);
        await FirstTokenAsync(Speed(turns[0]) * OpenLoopShare, cancel);
    }

    /// <summary>Waiting for the first token when requests come at random, with one adapter and with all.</summary>
    private async Task FirstTokenAsync(double rate, CancellationToken cancel)
    {
        List<double>[] times = [[], []];
        for (int round = 0; round < _options.Rounds; round++)
        {
            for (int i = 0; i < 2; i++)
            {
                int turn = (i + round) % 2;
                // The same arrivals for both.
                Turn result = await _load.OpenLoopAsync(
                    _options.Requests, rate, new Random(round), Adapters(turn == 0 ? 1 : Counts.Length, _options.Requests, round), cancel);
                times[turn].AddRange(result.FirstTokenMs);
            }
        }

        Console.WriteLine();
        Console.WriteLine($"time to first token, ms; arrivals at random, {rate:F2} a second ({OpenLoopShare:P0} of the merged adapter's speed), {times[0].Count} requests each");
        Console.WriteLine();
        Console.WriteLine("| adapters | p50 | p90 | p99 |");
        Console.WriteLine("|---|---|---|---|");
        for (int turn = 0; turn < 2; turn++)
            Console.WriteLine($"| {(turn == 0 ? Counts[0] : Counts[^1])} | {Values.Median(times[turn]):F0} | {Values.Percentile(times[turn], 0.9):F0} | {Values.Percentile(times[turn], 0.99):F0} |");
        Console.WriteLine($"| ratio | {Ratio(0.5):F2} | {Ratio(0.9):F2} | {Ratio(0.99):F2} |");

        double Ratio(double q) => Values.Percentile(times[1], q) / Values.Percentile(times[0], q);
    }

    /// <summary>Of steps that decode 64 sequences of different adapters, what does not run in the model's kernels.</summary>
    private async Task StepTimeAsync(CancellationToken cancel)
    {
        const int DecodeTokens = 24;
        var load = new Load(_loop, [.. Enumerable.Range(0, DecodeBatch).Select(i => new[] { 2 + i, 3, 4, 5 })], DecodeTokens);
        var metrics = _loop.Engine.Metrics;
        TimeSpan step = metrics.StepTime, model = metrics.ModelTime;
        long steps = _loop.Stats.Steps;
        await load.ClosedLoopAsync(DecodeBatch, DecodeBatch, Adapters(Counts.Length, DecodeBatch, 0), cancel);
        step = metrics.StepTime - step;
        model = metrics.ModelTime - model;
        steps = _loop.Stats.Steps - steps;
        Console.WriteLine();
        Console.WriteLine($"step at batch {DecodeBatch}, {Counts[^1]} adapters: {step.TotalMilliseconds / steps:F2} ms, of it outside of the model's kernels {(step - model) / step:P2} "
            + "(scheduling, building the batch, sampling, reporting)");
    }

    /// <param name="which">0 for the base, else a population.</param>
    private Func<int, ResidentAdapter?> Adapters(int which, int requests, int round)
    {
        if (which == 0)
            return _ => null;
        Population population = _populations[which - 1];
        int[] drawn = AdapterChoice.Draw(_options.Popularity, population.Adapters, requests, round);
        return i => population.Acquire(_loop.Engine, drawn[i]);
    }

    private static double Speed(List<Turn> turns) => Values.Median(turns.Select(turn => turn.RequestsPerSecond));
}
