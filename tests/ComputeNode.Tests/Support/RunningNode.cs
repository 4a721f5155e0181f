using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.Inference;
using Microsoft.Extensions.Logging;

[assembly: AssemblyFixture(typeof(SharedIndex))]

namespace Eigengate.ComputeNode.Tests.Support;

/// <summary>One embedded index for all tests of this assembly; each node takes its own key prefix.</summary>
public sealed class SharedIndex : IAsyncLifetime
{
    private EmbeddedGarnet? _server;

    public string Address => _server!.Address;

    public async ValueTask InitializeAsync() => _server = await EmbeddedGarnet.StartAsync();

    public ValueTask DisposeAsync() => _server!.DisposeAsync();
}

/// <summary>A node on loopback with a model folder of its own, and a client for it.</summary>
internal sealed class RunningNode : IAsyncDisposable
{
    public const string Chat = "/v1/chat/completions";

    private readonly DirectoryInfo _folder;

    private RunningNode(NodeHost host, DirectoryInfo folder)
    {
        Host = host;
        _folder = folder;
        Client = new HttpClient { BaseAddress = new Uri(host.Url), Timeout = TimeSpan.FromSeconds(30) };
    }

    public NodeHost Host { get; }

    public HttpClient Client { get; }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>The test's options for the tiny model in <paramref name="folder"/>.</summary>
    public static NodeOptions Options(SharedIndex index, string folder) => new()
    {
        ModelDirectory = TinyModel.Write(Path.Combine(folder, "tiny")),
        Index = index.Address,
        KeyPrefix = $"test-{Guid.NewGuid():N}",
        Urls = "http://127.0.0.1:0",
        DrainPeriod = TimeSpan.FromSeconds(5),
        Engine = new EngineOptions { KvBlocks = 256, MaxSequences = 64, MaxBatchedTokens = 512, AdapterSlots = 4, Threads = 1 },
    };

    public static async Task<RunningNode> StartAsync(SharedIndex index, Func<NodeOptions, string, NodeOptions>? change = null, ILoggerProvider? log = null)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("node-test-");
        try
        {
            NodeOptions options = Options(index, folder.FullName);
            options = change?.Invoke(options, folder.FullName) ?? options;
            return new RunningNode(await NodeHost.StartAsync(options, Logging, Cancel), folder);
        }
        catch
        {
            folder.Delete(recursive: true);
            throw;
        }

        void Logging(ILoggingBuilder builder)
        {
            builder.ClearProviders();
            if (log is not null)
                builder.AddProvider(log);
        }
    }

    /// <summary>POST /v1/completions; the answer must be 200.</summary>
    public Task<JsonNode> CompleteAsync(object body) => AnswerAsync("/v1/completions", body);

    /// <summary>POST /v1/chat/completions; the answer must be 200.</summary>
    public Task<JsonNode> ChatAsync(object body) => AnswerAsync(Chat, body);

    public async Task<JsonNode> AnswerAsync(string path, object body)
    {
        using HttpResponseMessage response = await PostAsync(path, body);
        string text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    public Task<HttpResponseMessage> PostAsync(string path, object body) => Client.PostAsJsonAsync(path, body, Cancel);

    /// <summary>The status and error object of a request that must fail.</summary>
    public async Task<(int Status, JsonNode Error)> RefusedAsync(object body, string path = "/v1/completions")
    {
        using HttpResponseMessage response = await PostAsync(path, body);
        string text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.False(response.IsSuccessStatusCode, text);
        JsonNode error = JsonNode.Parse(text)!["error"]!;
        Assert.Equal((int)response.StatusCode, (int)error["code"]!);
        return ((int)response.StatusCode, error);
    }

    /// <summary>The events of a streamed answer; checks the frame and removes the closing [DONE].</summary>
    public async Task<IReadOnlyList<JsonNode>> StreamAsync(object body, string path = "/v1/completions")
    {
        using HttpResponseMessage response = await PostAsync(path, body);
        string text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("no-cache", response.Headers.CacheControl!.ToString());
        Assert.Equal("no", response.Headers.GetValues("X-Accel-Buffering").Single());
        string[] events = text.Split("\n\n");
        Assert.Equal(["data: [DONE]", ""], events[^2..]);
        Assert.All(events[..^1], line => Assert.StartsWith("data: ", line, StringComparison.Ordinal));
        return [.. events[..^2].Select(line => JsonNode.Parse(line["data: ".Length..])!)];
    }

    /// <summary>Waits until no sequence runs or waits and all KV blocks are free.</summary>
    public async Task<EngineStats> IdleAsync()
    {
        for (int i = 0; i < 500; i++)
        {
            if (Host.Stats is { Running: 0, Waiting: 0, KvBlocksUsed: 0 } stats)
                return stats;
            await Task.Delay(10, Cancel);
        }

        return Host.Stats;
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Host.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    public static string TextOf(JsonNode completion, int index = 0) => (string)completion["choices"]![index]!["text"]!;

    /// <summary>Concatenated deltas of one index.</summary>
    public static string TextOf(IEnumerable<JsonNode> events, int index = 0)
    {
        var text = new StringBuilder();
        foreach (JsonNode choice in events.SelectMany(e => e["choices"]!.AsArray()).Where(c => (int)c!["index"]! == index)!)
            text.Append((string)choice["text"]!);
        return text.ToString();
    }

    public static T[] ArrayOf<T>(JsonNode array) => array.Deserialize<T[]>()!;
}
