using System.Net.Http.Json;
using System.Text.Json;

namespace Eigengate.Bench.Serving;

/// <summary>One row of tasks.json; unknown fields are ignored.</summary>
internal sealed record DemoTask(string Id, string Family, IReadOnlyList<DemoItem> Items);

internal sealed record DemoItem(string Prompt, string Answer);

/// <summary>Share of exactly right answers on words that no training saw, asked over HTTP with greedy decoding.</summary>
internal static class QualityBenchmark
{
    private const int Concurrency = 64;

    public static async Task RunAsync(string eigengate, string demo, CancellationToken cancel)
    {
        DemoTask[] tasks = JsonSerializer.Deserialize<DemoTask[]>(await File.ReadAllTextAsync(Path.Combine(demo, "tasks.json"), cancel), JsonSerializerOptions.Web)!;
        string model = Path.Combine(demo, "base");

        double[] alone, wrong, exact, compressed;
        await using (ServerUnderTest server = await ServerUnderTest.StartAsync(eigengate, ["--model", model, "--adapters", Path.Combine(demo, "adapters")], cancel))
        {
            alone = await ScoresAsync(server, tasks, _ => Path.GetFileName(model), cancel);
            wrong = await ScoresAsync(server, tasks, i => tasks[(i + tasks.Length / 2) % tasks.Length].Id, cancel);
            exact = await ScoresAsync(server, tasks, i => tasks[i].Id, cancel);
        }

        await using (ServerUnderTest server = await ServerUnderTest.StartAsync(eigengate, ["--model", model, "--bundle", Path.Combine(demo, "bundle")], cancel))
            compressed = await ScoresAsync(server, tasks, i => tasks[i].Id, cancel);

        Console.WriteLine("| tasks | base alone | wrong adapter | right adapter, uncompressed | right adapter, compressed |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach (var family in tasks.Select((task, i) => (task.Family, Index: i)).GroupBy(t => t.Family, t => t.Index))
            Row($"{family.Key} ({family.Count()})", [.. family]);
        Row($"**all ({tasks.Length})**", [.. Enumerable.Range(0, tasks.Length)]);
        Console.WriteLine();
        Console.WriteLine($"compressed keeps {compressed.Average() / exact.Average():P2} of the uncompressed score; worst tasks compressed: "
            + string.Join(", ", tasks.Zip(compressed).OrderBy(t => t.Second).Take(5).Select(t => $"{t.First.Id} {t.Second:P0}")));

        void Row(string name, int[] members) => Console.WriteLine(
            $"| {name} | {string.Join(" | ", new[] { alone, wrong, exact, compressed }.Select(scores => $"{members.Average(i => scores[i]):P1}"))} |");
    }

    private static async Task<double[]> ScoresAsync(ServerUnderTest server, DemoTask[] tasks, Func<int, string> modelOfTask, CancellationToken cancel)
    {
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Concurrency }) { BaseAddress = server.Gateway };
        int[] correct = new int[tasks.Length];
        var questions = tasks.SelectMany((task, i) => task.Items.Select(item => (Task: i, Item: item)));
        await Parallel.ForEachAsync(questions, new ParallelOptions { MaxDegreeOfParallelism = Concurrency, CancellationToken = cancel }, async (question, stop) =>
        {
            var body = new { model = modelOfTask(question.Task), prompt = question.Item.Prompt, max_tokens = 40, temperature = 0 };
            using HttpResponseMessage response = await http.PostAsJsonAsync("/v1/completions", body, stop);
            JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>(stop);
            if (!response.IsSuccessStatusCode)
                throw new InvalidOperationException(answer.ToString());
            if (answer.GetProperty("choices")[0].GetProperty("text").GetString()!.Trim(' ') == question.Item.Answer)
                Interlocked.Increment(ref correct[question.Task]);
        });
        return [.. correct.Zip(tasks, (right, task) => right / (double)task.Items.Count)];
    }
}
