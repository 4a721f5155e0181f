using Eigengate.Inference;
using Eigengate.Inference.Adapters;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>Waiting for the first token when requests come at random, with one adapter and with 1,024.</summary>
internal static class FirstTokenExperiment
{
    private const double Share = 0.5;

    private static readonly int[] Counts = [1, 1024];

    public static async Task RunAsync(LabOptions options, CancellationToken cancel)
    {
        await using var lab = new Lab(options);
        EngineLoop loop = lab.Start(Counts.Sum());
        Population[] populations = Population.Load(loop.Engine, Counts, options.Sizes);
        await lab.CalibrateAsync(loop, Drawn(0, 0), cancel);
        double rate = Share * lab.Speed;
        List<double>[] times = [[], []];
        for (int round = 0; round < options.Rounds; round++)
        {
            for (int i = 0; i < Counts.Length; i++)
            {
                // The same arrivals and sonnets for both.
                int which = (i + round) % Counts.Length;
                times[which].AddRange((await lab.RunAsync(loop, round, rate, Drawn(which, round), cancel)).FirstTokenMs);
            }
        }

        Console.WriteLine($"time to first token, ms; a Poisson process of {rate:F2} requests a second, {Share:P0} of the speed at saturation; {times[0].Count} requests each");
        Console.WriteLine();
        Console.WriteLine("| adapters | p50 | p90 | p99 |");
        Console.WriteLine("|---|---|---|---|");
        for (int i = 0; i < Counts.Length; i++)
            Console.WriteLine($"| {Counts[i]:N0} | {At(i, 0.5):F0} | {At(i, 0.9):F0} | {At(i, 0.99):F0} |");
        Console.WriteLine($"| ratio | {At(1, 0.5) / At(0, 0.5):F2} | {At(1, 0.9) / At(0, 0.9):F2} | {At(1, 0.99) / At(0, 0.99):F2} |");

        Func<int, ValueTask<ResidentAdapter?>> Drawn(int which, int round) =>
            populations[which].Drawn(loop.Engine, lab.Draw(options.Popularity, Counts[which], round));

        double At(int which, double q) => Statistics.Percentile(times[which], q);
    }
}
