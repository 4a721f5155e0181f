using System.Text;
using Eigengate.AdapterCache;
using Eigengate.Gateway.Routing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy;

namespace Eigengate.Gateway.Tests;

/// <summary>A gateway, its index and its nodes, all real and on loopback, for one test.</summary>
internal sealed class Deployment : IAsyncDisposable
{
    public const string BaseModel = "acme/base-1b";

    private readonly WebApplication _gateway;
    private readonly List<UpstreamNode> _nodes = [];

    private Deployment(WebApplication gateway, AdapterIndex index)
    {
        _gateway = gateway;
        Index = index;
        Client = new HttpClient { BaseAddress = new Uri(gateway.Urls.Single()), Timeout = TimeSpan.FromSeconds(20) };
    }

    public static BaseRecord Base { get; } = new(BaseModel, 1_790_000_000, 2048, "/models/base-1b");

    public AdapterIndex Index { get; }

    public HttpClient Client { get; }

    public string GatewayUrl => _gateway.Urls.Single();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static async Task<Deployment> StartAsync(SharedGarnet garnet, Func<GatewayOptions, GatewayOptions>? configure = null)
    {
        var options = new GatewayOptions { Index = garnet.Address, KeyPrefix = $"test-{Guid.NewGuid():N}" };
        options = configure?.Invoke(options) ?? options;
        var index = await AdapterIndex.ConnectAsync(options.Index, options.KeyPrefix, Cancel);
        await index.RegisterBaseAsync(Base, Cancel);
        var gateway = GatewayHost.Build(options, "http://127.0.0.1:0", logging => logging.SetMinimumLevel(LogLevel.None));
        await gateway.StartAsync(Cancel);
        return new Deployment(gateway, index);
    }

    /// <summary>Starts a node and waits until the gateway routes to it.</summary>
    public async Task<UpstreamNode> AddNodeAsync(string id, int[] clusters, Microsoft.AspNetCore.Http.RequestDelegate? answer = null, TimeSpan? lease = null)
    {
        var node = await UpstreamNode.StartAsync(id, answer);
        _nodes.Add(node);
        var record = new NodeRecord(id, node.Url, BaseModel, 2048, "g1", clusters, ServesExact: true, MaxSequences: 8, DateTimeOffset.UnixEpoch);
        await Index.AnnounceAsync(record, lease ?? TimeSpan.FromMinutes(1), Cancel);
        await UntilAsync(() => Destinations(NodeProxyConfig.BaseCluster).Contains(id));
        return node;
    }

    public async Task<AdapterRecord> AddAdapterAsync(string id, int? cluster, string generation = "g1", AdapterStatus status = AdapterStatus.Ready)
    {
        var adapter = new AdapterRecord(
            id, $"digest-of-{Uri.EscapeDataString(id)}", generation, cluster, status, $"/adapters/{id}", DateTimeOffset.FromUnixTimeSeconds(1_790_000_001));
        await Index.RegisterAsync(adapter, Encoding.UTF8.GetBytes(id), Cancel);
        return adapter;
    }

    /// <summary>Ids of the nodes the gateway would now choose from.</summary>
    public IReadOnlyList<string> Destinations(string proxyCluster) =>
        _gateway.Services.GetRequiredService<IProxyStateLookup>().TryGetCluster(proxyCluster, out var cluster)
            ? [.. cluster.DestinationsState.AvailableDestinations.Select(node => node.DestinationId)]
            : [];

    public Task<HttpResponseMessage> CompleteAsync(string? model) =>
        PostAsync("/v1/completions", model is null ? """{"prompt": "hi"}""" : $$"""{"model": "{{model}}", "prompt": "hi"}""");

    public Task<HttpResponseMessage> PostAsync(string path, string body, string contentType = "application/json") =>
        Client.PostAsync(path, new StringContent(body, Encoding.UTF8, contentType), Cancel);

    public static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(TimeSpan.FromSeconds(10));
        while (!condition())
            await Task.Delay(10, patience.Token);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _gateway.StopAsync(now.Token);
        await _gateway.DisposeAsync();
        foreach (var node in _nodes)
            await node.DisposeAsync();
        await Index.DisposeAsync();
    }
}
