using Eigengate.Inference;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>Waiting for the first token when requests come at random, with one adapter and with 1,024.</summary>
internal static class FirstTokenExperiment
{
    private const double Share = 0.5;

    public static async Task RunAsync(LabOptions options, CancellationToken cancel)
    {
        await using var lab = new Lab(options);
        int[] counts = [1, 1024];
        EngineLoop loop = lab.Start(counts.Sum());
        Population[] populations = [.. counts.Select(count => new Population(loop.Engine.Config, count, options.Sizes))];
        foreach (Population population in populations.OrderByDescending(p => p.Rank))
            population.Load(loop.Engine);

        await lab.RunAsync(loop, 0, populations[1].Drawn(loop.Engine, lab.Draw(1024, 0)), cancel);
        double rate = Share * (await lab.RunAsync(loop, 1, populations[0].Drawn(loop.Engine, lab.Draw(1, 0)), cancel)).RequestsPerSecond;
        List<double>[] times = [[], []];
        for (int round = 0; round < options.Rounds; round++)
        {
            for (int i = 0; i < 2; i++)
            {
                // The same arrivals and sonnets for both.
                int which = (i + round) % 2;
                Turn turn = await lab.LoadOn(loop, round).OpenLoopAsync(
                    options.Requests, rate, new Random(round), populations[which].Drawn(loop.Engine, lab.Draw(counts[which], round)), cancel);
                times[which].AddRange(turn.FirstTokenMs);
            }
        }

        Console.WriteLine($"time to first token, ms; a Poisson process of {rate:F2} requests a second, {Share:P0} of the speed at saturation; {times[0].Count} requests each");
        Console.WriteLine();
        Console.WriteLine("| adapters | p50 | p90 | p99 |");
        Console.WriteLine("|---|---|---|---|");
        for (int i = 0; i < 2; i++)
            Console.WriteLine($"| {counts[i]} | {At(i, 0.5):F0} | {At(i, 0.9):F0} | {At(i, 0.99):F0} |");
        Console.WriteLine($"| ratio | {At(1, 0.5) / At(0, 0.5):F2} | {At(1, 0.9) / At(0, 0.9):F2} | {At(1, 0.99) / At(0, 0.99):F2} |");

        double At(int which, double q) => Values.Percentile(times[which], q);
    }
}
