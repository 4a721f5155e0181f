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

        foreach (int cluster in (int[])[0, 1])
        {
            string adapter = AdapterOfCluster(cluster);
            DemoItem item = DemoTasks.Load().Tasks.First(t => t.Id == adapter).Items[0];
            JsonElement answer = await AskUntilServedAsync(http, adapter, item.Prompt);
            Assert.Equal(item.Answer, answer.GetProperty("choices")[0].GetProperty("text").GetString()!.Trim());
        }
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
        await AskUntilServedAsync(http, AdapterOfCluster(1), "planet ->");

        await second.DisposeAsync();

        HttpResponseMessage refused = await AskAsync(http, AdapterOfCluster(1), "planet ->");
        while (refused.StatusCode != HttpStatusCode.ServiceUnavailable)
        {
            Assert.NotEqual(HttpStatusCode.OK, refused.StatusCode);
            await Task.Delay(100, Cancel);
            refused = await AskAsync(http, AdapterOfCluster(1), "planet ->");
        }

        Assert.NotNull(refused.Headers.RetryAfter);
        JsonElement error = (await refused.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("error");
        Assert.Equal("ServiceUnavailableError", error.GetProperty("type").GetString());
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, AdapterOfCluster(0), "planet ->")).StatusCode);
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

    private static string AdapterOfCluster(int cluster)
    {
        using JsonDocument manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.DemoBundle, "manifest.json")));
        return manifest.RootElement.GetProperty("adapters").EnumerateArray()
            .First(a => a.GetProperty("cluster").GetInt32() == cluster).GetProperty("id").GetString()!;
    }

    private static Task<HttpResponseMessage> AskAsync(HttpClient http, string model, string prompt) =>
        http.PostAsJsonAsync("/v1/completions", new { model, prompt, max_tokens = 32, temperature = 0 }, Cancel);

    /// <summary>The gateway follows announcements with a short delay, so the first answers may be 404 or 503.</summary>
    private static async Task<JsonElement> AskUntilServedAsync(HttpClient http, string model, string prompt)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            using HttpResponseMessage response = await AskAsync(http, model, prompt);
            if (response.IsSuccessStatusCode)
                return await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
            await Task.Delay(100, limit.Token);
        }
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
