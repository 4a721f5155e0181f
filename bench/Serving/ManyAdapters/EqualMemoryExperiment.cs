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
    /// <summary>Different factors; more adapters than that share them, in memory of their own on the device.</summary>
    private const int FactorSets = 16;

    private static readonly int[] Counts = [64, 256, 1024];

    public static async Task RunAsync(LabOptions options, CancellationToken cancel)
    {
        await using var lab = new Lab(options);
        EngineLoop compressed = lab.Start(Counts.Sum());
        var random = new RandomAdapters(compressed.Engine.Config);
        AdapterWeights[] factors = [.. Enumerable.Range(0, FactorSets).Select(set => random.Exact($"set-{set}", Lab.Rank, seed: set))];
        Population[] populations = Population.Load(compressed.Engine, Counts, options.Sizes);
        await lab.CalibrateAsync(compressed, Lab.NoAdapter, cancel);
        Console.WriteLine($"drawn {options.Popularity}");
        Console.WriteLine();
        Console.WriteLine("| adapters | clusters | basis rank | MB | uncompressed ones in it | compressed, requests/s | uncompressed, requests/s | ratio | found on the device |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        foreach (Population population in populations)
        {
            long bytes = population.Bytes(options.ElementBytes), room = bytes / random.ExactBytes(Lab.Rank, options.ElementBytes);
            EngineLoop uncompressed = lab.Start(slots: population.Adapters, poolBytes: bytes);
            await FillAsync(uncompressed.Engine, factors, (int)Math.Min(room, population.Adapters), cancel);
            await CompareAsync(lab, population, compressed, uncompressed, factors, $"{bytes / 1e6:F0} | {room}", cancel);
            await lab.StopAsync(uncompressed);
        }
    }

    private static async Task CompareAsync(
        Lab lab, Population population, EngineLoop compressed, EngineLoop uncompressed, AdapterWeights[] factors, string memory, CancellationToken cancel)
    {
        List<(double Compressed, double Uncompressed)> speeds = [];
        AdapterStats before = uncompressed.Engine.Adapters;
        for (int round = 0; round < lab.Options.Rounds; round++)
        {
            int[] drawn = lab.Draw(lab.Options.Popularity, population.Adapters, round);
            Task<double> Compressed() => lab.SaturateAsync(compressed, round, population.Drawn(compressed.Engine, drawn), cancel);
            Task<double> Uncompressed() => lab.SaturateAsync(uncompressed, round, n => ExactAsync(uncompressed.Engine, factors, drawn[n], cancel), cancel);
            if (round % 2 == 0)
            {
                double first = await Compressed();
                speeds.Add((first, await Uncompressed()));
            }
            else
            {
                double first = await Uncompressed();
                speeds.Add((await Compressed(), first));
            }
        }

        AdapterStats after = uncompressed.Engine.Adapters;
        long hits = after.Hits - before.Hits, misses = after.Misses - before.Misses;
        Console.WriteLine($"| {population.Adapters:N0} | {population.Clusters} | {population.Rank} | {memory} | {Statistics.Median(speeds.Select(s => s.Compressed)):F2} | "
            + $"{Statistics.Median(speeds.Select(s => s.Uncompressed)):F2} | {Statistics.Median(speeds.Select(s => s.Compressed / s.Uncompressed)):F2} | {(double)hits / (hits + misses):P0} |");
    }

    /// <summary>As after hours of service: the pool is full.</summary>
    private static async Task FillAsync(Engine engine, AdapterWeights[] factors, int count, CancellationToken cancel)
    {
        for (int i = 0; i < count; i++)
            (await ExactAsync(engine, factors, i, cancel))?.Dispose();
    }

    private static async ValueTask<ResidentAdapter?> ExactAsync(Engine engine, AdapterWeights[] factors, int adapter, CancellationToken cancel)
    {
        string id = adapter.ToString(CultureInfo.InvariantCulture);
        return engine.TryAcquire(id, "1", out ResidentAdapter? lease) ? lease : await engine.LoadAdapterAsync(factors[adapter % FactorSets] with { Id = id }, cancel);
    }
}
