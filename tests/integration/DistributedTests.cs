using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Eigengate.AdapterCache.Tests;

namespace Eigengate.Integration.Tests;

/// <summary>Separate processes as in production: an index server, two nodes with one cluster each, one gateway.</summary>
public abstract class DistributedTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_nodes_with_one_cluster_each_serve_a_request_each_behind_one_gateway()
    {
        await using IndexServer index = await StartAsync(CreateIndex());
        await using EigengateProcess first = StartNode(index, 0);
        await using EigengateProcess second = StartNode(index, 1);
        await using EigengateProcess gateway = EigengateProcess.Start("gateway", "--redis", index.Address, "--urls", "http://127.0.0.1:0");
        await first.ValueOfAsync("node", Cancel);
        await second.ValueOfAsync("node", Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(await gateway.ValueOfAsync("gateway", Cancel)) };

        foreach (string adapter in DemoQuestions.AdapterOfEachCluster().Take(2))
            await AssertAnsweredAsync(http, adapter);
    }

    [Fact]
    public async Task A_cluster_whose_only_node_left_answers_503_and_the_other_cluster_goes_on()
    {
        await using IndexServer index = await StartAsync(CreateIndex());
        await using EigengateProcess first = StartNode(index, 0);
        EigengateProcess second = StartNode(index, 1);
        await using EigengateProcess gateway = EigengateProcess.Start("gateway", "--redis", index.Address, "--urls", "http://127.0.0.1:0");
        await first.ValueOfAsync("node", Cancel);
        await second.ValueOfAsync("node", Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(await gateway.ValueOfAsync("gateway", Cancel)) };
        string[] adapters = [.. DemoQuestions.AdapterOfEachCluster().Take(2)];
        await AssertAnsweredAsync(http, adapters[1]);

        await second.DisposeAsync();

        HttpResponseMessage refused = await DemoQuestions.AskAsync(http, adapters[1], "planet ->", Cancel);
        while (refused.StatusCode != HttpStatusCode.ServiceUnavailable)
        {
            Assert.NotEqual(HttpStatusCode.OK, refused.StatusCode);
            await Task.Delay(100, Cancel);
            refused = await DemoQuestions.AskAsync(http, adapters[1], "planet ->", Cancel);
        }

        Assert.NotNull(refused.Headers.RetryAfter);
        JsonElement error = (await refused.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("error");
        Assert.Equal("ServiceUnavailableError", error.GetProperty("type").GetString());
        Assert.Equal(HttpStatusCode.OK, (await DemoQuestions.AskAsync(http, adapters[0], "planet ->", Cancel)).StatusCode);
    }

    private protected abstract IndexServer CreateIndex();

    private static async Task<IndexServer> StartAsync(IndexServer index)
    {
        await index.InitializeAsync();
        Assert.SkipWhen(index.SkipReason is not null, index.SkipReason ?? "");
        return index;
    }

    private static EigengateProcess StartNode(IndexServer index, int cluster) => EigengateProcess.Start(
        "node", "--model", Repository.DemoBase, "--bundle", Repository.DemoBundle, "--cluster", cluster.ToString(), "--redis", index.Address, "--urls", "http://127.0.0.1:0");

    private static async Task AssertAnsweredAsync(HttpClient http, string adapter)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        await DemoQuestions.AssertAnsweredAsync(http, adapter, limit.Token);
    }
}

public class DistributedOverEmbeddedGarnetTests : DistributedTests
{
    private protected override IndexServer CreateIndex() => new EmbeddedGarnetServer();
}

public class DistributedOverRedisContainerTests : DistributedTests
{
    private protected override IndexServer CreateIndex() => new RedisContainerServer();
}
