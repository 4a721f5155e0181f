using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Eigengate.Integration.Tests;

/// <summary>
/// `eigengate serve` with the demo's adapters on its base with a longer context, so that work takes long enough to be left in the middle. One
/// sequence runs at once, one adapter fits on the device, and two API keys are two callers.
/// </summary>
public sealed partial class ServedLongContext : IAsyncLifetime
{
    public const int Context = 16384;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("eigengate-long-context-");
    private EigengateProcess? _process;
    private HttpClient? _node;

    public HttpClient First { get; private set; } = null!;

    public HttpClient Second { get; private set; } = null!;

    public string[] Adapters { get; } = [.. DemoQuestions.AdapterOfEachCluster()];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        foreach (string file in Directory.GetFiles(Repository.DemoBase))
            File.Copy(file, Path.Combine(_folder.FullName, Path.GetFileName(file)));
        string config = Path.Combine(_folder.FullName, "config.json");
        JsonNode json = JsonNode.Parse(await File.ReadAllTextAsync(config))!;
        json["max_position_embeddings"] = Context;
        await File.WriteAllTextAsync(config, json.ToJsonString());
        _process = EigengateProcess.Start(
            "serve", "--model", _folder.FullName, "--bundle", Repository.DemoBundle, "--urls", "http://127.0.0.1:0", "--max-num-seqs", "1", "--adapter-slots", "1",
            "--no-prefix-cache", "--max-in-flight", "64", "--api-key", "first", "--api-key", "second");
        _node = new HttpClient { BaseAddress = new Uri(await _process.ValueOfAsync("node", default)) };
        var gateway = new Uri(await _process.ValueOfAsync("gateway", default));
        First = Client(gateway, "first");
        Second = Client(gateway, "second");
    }

    public async ValueTask DisposeAsync()
    {
        First?.Dispose();
        Second?.Dispose();
        _node?.Dispose();
        if (_process is not null)
            await _process.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    /// <summary>A completion; a streamed one is there when its first byte is.</summary>
    public static async Task<HttpResponseMessage> CompleteAsync(HttpClient caller, object body, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(body) };
        return await caller.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
    }

    /// <summary>Sum of the node's samples of this name whose labels contain a text.</summary>
    public async Task<double> MetricAsync(string name, string label = "") => Value(await MetricsAsync(), name, label);

    /// <summary>Asks the node for its metrics until they are as expected.</summary>
    public async Task UntilAsync(string what, Func<Func<string, string, double>, bool> expected)
    {
        for (int i = 0; ; i++)
        {
            string metrics = await MetricsAsync();
            if (expected((name, label) => Value(metrics, name, label)))
                return;
            Assert.True(i < 3000, $"not {what} within 30 s:\n{metrics}");
            await Task.Delay(10, Cancel);
        }
    }

    /// <summary>Waits until nothing runs or waits and no KV block is held.</summary>
    public Task IdleAsync() => UntilAsync("idle", value =>
        value("vllm:num_requests_running", "") == 0 && value("vllm:num_requests_waiting", "") == 0 && value("vllm:kv_cache_usage_perc", "") == 0);

    private static HttpClient Client(Uri gateway, string key)
    {
        var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 256 }) { BaseAddress = gateway };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }

    private Task<string> MetricsAsync() => _node!.GetStringAsync("/metrics", Cancel);

    private static double Value(string metrics, string name, string label) => Sample().Matches(metrics)
        .Where(sample => sample.Groups["name"].Value == name && sample.Groups["labels"].Value.Contains(label, StringComparison.Ordinal))
        .Sum(sample => double.Parse(sample.Groups["value"].Value, CultureInfo.InvariantCulture));

    [GeneratedRegex(@"^(?<name>[a-z_:]+)(\{(?<labels>.*)\})? (?<value>\S+)$", RegexOptions.Multiline)]
    private static partial Regex Sample();
}
