using System.Globalization;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>
/// Compressed adapters, all on the device, against uncompressed ones of rank 16 in a pool of as many bytes, from which the least
/// recently used leave: what one gets for the same memory.
/// </summary>
internal static class EqualMemoryExperiment
{
    private const int Rank = 16;

    /// <summary>Different factors; more adapters than that share them, in memory of their own on the device.</summary>
    private const int FactorSets = 16;

    private static readonly int[] Counts = [64, 256, 1024];

    public static async Task RunAsync(LabOptions options, CancellationToken cancel)
    {
        await using var lab = new Lab(options);
        EngineLoop compressed = lab.Start(Counts.Sum());
        Population[] populations = [.. Counts.Select(count => new Population(compressed.Engine.Config, count, options.Sizes))];
        foreach (Population population in populations.OrderByDescending(p => p.Rank))
            population.Load(compressed.Engine);
        var factors = Factors(compressed.Engine);
        long perAdapter = factors[0].Values.Sum(f => (long)f.A.Length + f.B.Length) * ElementSize(options);
        Console.WriteLine("| adapters | MB | uncompressed ones in it | compressed, requests/s | uncompressed, requests/s | ratio | found on the device |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        for (int i = 0; i < Counts.Length; i++)
        {
            Population population = populations[i];
            long bytes = population.Bytes(ElementSize(options));
            EngineLoop uncompressed = lab.Start(Counts[i], poolBytes: bytes);
            List<double> a = [], b = [];
            for (int round = -1; round < options.Rounds; round++)
            {
                int[] drawn = lab.Draw(Counts[i], round);
                double first = (await lab.RunAsync(compressed, round + 1, population.Drawn(compressed.Engine, drawn), cancel)).RequestsPerSecond;
                double second = (await lab.RunAsync(uncompressed, round + 1, n => Exact(uncompressed.Engine, factors, drawn[n], cancel), cancel)).RequestsPerSecond;
                if (round < 0)
                    continue;
                a.Add(first);
                b.Add(second);
            }

            AdapterStats stats = uncompressed.Engine.Adapters;
            Console.WriteLine($"| {Counts[i]} | {bytes / 1e6:F0} | {bytes / perAdapter} | {Values.Median(a):F2} | {Values.Median(b):F2} | "
                + $"{Values.Median(a.Zip(b, (x, y) => x / y)):F2} | {(double)stats.Hits / (stats.Hits + stats.Misses):P0} |");
        }
    }

    private static int ElementSize(LabOptions options) => options.DType == EngineDType.BFloat16 ? 2 : 4;

    private static async ValueTask<ResidentAdapter?> Exact(Engine engine, IReadOnlyDictionary<string, LoraFactors>[] factors, int adapter, CancellationToken cancel)
    {
        string id = adapter.ToString(CultureInfo.InvariantCulture);
        return engine.TryAcquire(id, "1", out ResidentAdapter? lease)
            ? lease
            : await engine.LoadAdapterAsync(AdapterWeights.Exact(id, "1", factors[adapter % FactorSets]), cancel);
    }

    private static IReadOnlyDictionary<string, LoraFactors>[] Factors(Engine engine) =>
    [
        .. Enumerable.Range(0, FactorSets).Select(set =>
        {
            var random = new Random(set);
            return Population.Modules(engine.Config).ToDictionary(m => m.Name, m => new LoraFactors(
                Values.Random(random, Rank * m.In, 1 / MathF.Sqrt(m.In)), Values.Random(random, m.Out * Rank, 0.1f), m.Out, m.In, Rank, 1));
        }),
    ];
}
