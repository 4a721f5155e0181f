using System.Net.Http.Json;
using System.Text.Json;

namespace Eigengate.Bench.Serving;

/// <summary>Throughput of the base alone, of one adapter and of all adapters; start-up time; the gateway's added latency.</summary>
internal static class SpeedBenchmark
{
    /// <summary>Requests of each client in a round.</summary>
    private const int RequestsInTurn = 12;

    public static async Task RunAsync(ServerUnderTest server, int tokens, int rounds, CancellationToken cancel)
    {
        using var http = new HttpClient { BaseAddress = server.Gateway };
        JsonElement list = await http.GetFromJsonAsync<JsonElement>("/v1/models", cancel);
        var models = list.GetProperty("data").EnumerateArray().ToLookup(
            m => m.GetProperty("parent").ValueKind == JsonValueKind.Null, m => m.GetProperty("id").GetString()!);
        string[] adapters = [.. models[false]];

        Console.WriteLine($"start-up until /health answers: {server.Startup.TotalSeconds:F2} s, {adapters.Length} adapters");
        Console.WriteLine();
        await ThroughputAsync(server, models[true].First(), adapters, tokens, rounds, cancel);
        Console.WriteLine();
        await LatencyAsync(server, adapters[0], cancel);
    }

    private static async Task ThroughputAsync(ServerUnderTest server, string baseModel, string[] adapters, int tokens, int rounds, CancellationToken cancel)
    {
        string[] names = ["base alone", "1 adapter", $"{adapters.Length} adapters"];
        using var load = new CompletionLoad(server.Gateway, tokens);
        Console.WriteLine($"tokens/s through the gateway, {tokens} tokens a request, median of {rounds} interleaved rounds");
        Console.WriteLine();
        Console.WriteLine($"| concurrent requests | {string.Join(" | ", names)} | {names[2]} ÷ 1 adapter | 1 adapter ÷ base |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (int concurrency in (int[])[1, 8, 48])
        {
            List<double>[] results = [[], [], []];
            for (int round = -1; round < rounds; round++)
            {
                // The one adapter is another in every round: adapters lie in different clusters and write different texts.
                string[][] models = [[baseModel], [adapters[(round + adapters.Length) % adapters.Length]], adapters];
                for (int i = 0; i < names.Length; i++)
                {
                    // Rotate the order, so that no workload always runs first.
                    int turn = (i + round + names.Length) % names.Length;
                    double speed = await load.TokensPerSecondAsync(models[turn], concurrency, concurrency * RequestsInTurn, cancel);
                    if (round >= 0)
                        results[turn].Add(speed);
                }
            }

            double many = Statistics.Median([.. results[2].Zip(results[1], (a, b) => a / b)]);
            double one = Statistics.Median([.. results[1].Zip(results[0], (a, b) => a / b)]);
            Console.WriteLine($"| {concurrency} | {string.Join(" | ", results.Select(r => Statistics.Median(r).ToString("F0")))} | {many:F2} | {one:F2} |");
        }
    }

    private static async Task LatencyAsync(ServerUnderTest server, string adapter, CancellationToken cancel)
    {
        const int Warmup = 100, Requests = 1000;
        using var direct = new CompletionLoad(server.Node, 1);
        using var proxied = new CompletionLoad(server.Gateway, 1);
        var times = new List<(double Direct, double Proxied)>();
        for (int i = 0; i < Warmup + Requests; i++)
        {
            var pair = (await direct.LatencyAsync(adapter, cancel), await proxied.LatencyAsync(adapter, cancel));
            if (i >= Warmup)
                times.Add(pair);
        }

        double[] d = [.. times.Select(t => t.Direct)], p = [.. times.Select(t => t.Proxied)];
        Console.WriteLine($"one-token request, {Requests} in turn, milliseconds");
        Console.WriteLine();
        Console.WriteLine("| | p50 | p99 |");
        Console.WriteLine("|---|---|---|");
        Console.WriteLine($"| node directly | {Statistics.Percentile(d, 0.5):F2} | {Statistics.Percentile(d, 0.99):F2} |");
        Console.WriteLine($"| through the gateway | {Statistics.Percentile(p, 0.5):F2} | {Statistics.Percentile(p, 0.99):F2} |");
        Console.WriteLine($"| added by the gateway | {Statistics.Percentile(p, 0.5) - Statistics.Percentile(d, 0.5):F2} | {Statistics.Percentile(p, 0.99) - Statistics.Percentile(d, 0.99):F2} |");
    }
}
