using Eigengate.Inference;
using Eigengate.Inference.Adapters;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>
/// Requests per second from one adapter to 1,024 against one merged adapter: the base without adapters, whose weights are of the
/// same size and use. Every turn stands between two turns of the merged adapter and is compared with their mean.
/// </summary>
internal static class ThroughputExperiment
{
    public static readonly int[] Counts = [1, 4, 16, 64, 256, 1024];

    private const int Batch = 64;

    public static async Task RunAsync(LabOptions options, string? plot, CancellationToken cancel)
    {
        await using var lab = new Lab(options);
        EngineLoop loop = lab.Start(Counts.Sum(), maxSequences: Batch);
        Population[] populations = [.. Counts.Select(count => new Population(loop.Engine.Config, count, options.Sizes))];
        foreach (Population population in populations.OrderByDescending(p => p.Rank))
            population.Load(loop.Engine);

        List<double>[] ratios = [.. Counts.Select(_ => new List<double>())], speeds = [.. Counts.Select(_ => new List<double>())];
        var merged = new List<double>();
        await lab.RunAsync(loop, 0, populations[^1].Drawn(loop.Engine, lab.Draw(Counts[^1], seed: 0)), cancel);
        for (int round = 0; round < options.Rounds; round++)
        {
            double before = await MergedAsync(round);
            for (int i = 0; i < Counts.Length; i++)
            {
                int which = (i + round) % Counts.Length;
                Turn turn = await lab.RunAsync(loop, round, populations[which].Drawn(loop.Engine, lab.Draw(Counts[which], round)), cancel);
                double after = await MergedAsync(round);
                speeds[which].Add(turn.RequestsPerSecond);
                ratios[which].Add(2 * turn.RequestsPerSecond / (before + after));
                before = after;
            }
        }

        Report(populations, ratios, speeds, merged);
        if (plot is not null)
            await File.WriteAllTextAsync(plot, RatioPlot.Draw("Requests per second ÷ one merged adapter", [("compressed adapters", [.. Points(ratios)])]), cancel);
        await StepTimeAsync(loop, populations[^1], cancel);

        async Task<double> MergedAsync(int round)
        {
            double speed = (await lab.RunAsync(loop, round, _ => ValueTask.FromResult<ResidentAdapter?>(null), cancel)).RequestsPerSecond;
            merged.Add(speed);
            return speed;
        }
    }

    private static void Report(Population[] populations, List<double>[] ratios, List<double>[] speeds, List<double> merged)
    {
        Console.WriteLine("| adapters | clusters | basis rank | requests/s | ÷ merged | quartiles |");
        Console.WriteLine("|---|---|---|---|---|---|");
        Console.WriteLine($"| one, merged | | | {Values.Median(merged):F2} | 1 | |");
        foreach (var (population, ratio, speed) in populations.Zip(ratios, speeds))
        {
            Console.WriteLine($"| {population.Adapters} | {population.Clusters} | {population.Rank} | {Values.Median(speed):F2} | {Values.Median(ratio):F3} | "
                + $"{Values.Percentile(ratio, 0.25):F2} – {Values.Percentile(ratio, 0.75):F2} |");
        }
    }

    private static IEnumerable<(int, double, double, double)> Points(List<double>[] ratios) =>
        Counts.Zip(ratios, (count, ratio) => (count, Values.Median(ratio), Values.Percentile(ratio, 0.25), Values.Percentile(ratio, 0.75)));

    /// <summary>Of steps that decode 64 sequences of different adapters, what does not run in the model's kernels.</summary>
    private static async Task StepTimeAsync(EngineLoop loop, Population population, CancellationToken cancel)
    {
        const int DecodeTokens = 24;
        var load = new Load(loop, [.. Enumerable.Range(0, Batch).Select(i => new[] { 2 + i, 3, 4, 5 })], DecodeTokens);
        var metrics = loop.Engine.Metrics;
        TimeSpan step = metrics.StepTime, model = metrics.ModelTime;
        long steps = loop.Stats.Steps;
        int[] drawn = AdapterChoice.Draw(Popularity.Uniform, population.Adapters, Batch, seed: 1);
        await load.ClosedLoopAsync(Batch, Batch, population.Drawn(loop.Engine, drawn), cancel);
        step = metrics.StepTime - step;
        model = metrics.ModelTime - model;
        steps = loop.Stats.Steps - steps;
        Console.WriteLine();
        Console.WriteLine($"a step of {Batch} decoding sequences, {population.Adapters} adapters: {step.TotalMilliseconds / steps:F2} ms, of it outside of the model's kernels "
            + $"{(step - model) / step:P2} (scheduling, building the batch, sampling, reporting)");
    }
}
