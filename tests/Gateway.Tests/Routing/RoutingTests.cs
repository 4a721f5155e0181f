using System.Net;
using Eigengate.AdapterCache;
using Eigengate.OpenAiApi;

namespace Eigengate.Gateway.Tests.Routing;

public sealed class RoutingTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Adapter_goes_to_a_node_that_holds_its_cluster()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", [0]);
        await deployment.AddNodeAsync("n1", [1]);
        await deployment.AddAdapterAsync("zero", cluster: 0);
        await deployment.AddAdapterAsync("one", cluster: 1);
        for (var i = 0; i < 8; i++)
        {
            Assert.Equal("n0", await (await deployment.CompleteAsync("zero")).NodeAsync());
            Assert.Equal("n1", await (await deployment.CompleteAsync("one")).NodeAsync());
        }
    }

    [Fact]
    public async Task Adapter_goes_to_nodes_of_its_own_generation()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("old", [0]);
        await deployment.AddAdapterAsync("new-adapter", cluster: 0, generation: "g2");
        var answer = await deployment.CompleteAsync("new-adapter");
        await answer.ErrorAsync(HttpStatusCode.ServiceUnavailable, "ServiceUnavailableError");
    }

    [Fact]
    public async Task Exact_adapter_goes_to_any_node_that_serves_exact_adapters()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", []);
        await deployment.AddAdapterAsync("exact", cluster: null);
        Assert.Equal("n0", await (await deployment.CompleteAsync("exact")).NodeAsync());
    }

    [Theory]
    [InlineData("""{"prompt": "hi"}""")]
    [InlineData("""{"model": null, "prompt": "hi"}""")]
    [InlineData("""{"model": "", "prompt": "hi"}""")]
    [InlineData("""{"model": "acme/base-1b", "prompt": "hi"}""")]
    public async Task Base_is_meant_when_the_model_is_left_out_or_names_it(string body)
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var node = await deployment.AddNodeAsync("n0", [0]);
        Assert.Equal("n0", await (await deployment.PostAsync("/v1/completions", body)).NodeAsync());
        var received = Assert.Single(node.Requests);
        Assert.Equal(body, received.Body);
        Assert.DoesNotContain(RoutingHeaders.Adapter, received.Headers.Keys);
    }

    [Fact]
    public async Task Chat_is_routed_like_completions()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", [0]);
        var node = await deployment.AddNodeAsync("n1", [1]);
        await deployment.AddAdapterAsync("chatty", cluster: 1);
        var answer = await deployment.PostAsync("/v1/chat/completions", """{"model": "chatty", "messages": []}""");
        Assert.Equal("n1", await answer.NodeAsync());
        Assert.Equal("/v1/chat/completions", Assert.Single(node.Requests).Path);
    }

    [Fact]
    public async Task Node_is_told_the_resolved_adapter_and_version_and_not_the_clients_claims_or_key()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ApiKeys = ["secret"] });
        var node = await deployment.AddNodeAsync("n0", [0]);
        var adapter = await deployment.AddAdapterAsync("team/größe 1", cluster: 0);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("""{"model": "team/größe 1"}""", System.Text.Encoding.UTF8, "application/json"),
            Headers = { { "Authorization", "Bearer secret" }, { RoutingHeaders.Adapter, "forged" }, { RoutingHeaders.AdapterVersion, "forged" } },
        };
        Assert.Equal("n0", await (await deployment.Client.SendAsync(request, Cancel)).NodeAsync());

        var received = Assert.Single(node.Requests);
        Assert.Equal(adapter.Id, Uri.UnescapeDataString(received.Headers[RoutingHeaders.Adapter]));
        Assert.Equal(adapter.Version, received.Headers[RoutingHeaders.AdapterVersion]);
        Assert.DoesNotContain("Authorization", received.Headers.Keys);
    }

    [Fact]
    public async Task Adapter_can_be_used_as_soon_as_it_is_registered()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", [0]);
        for (var i = 0; i < 20; i++)
        {
            await deployment.AddAdapterAsync($"fresh-{i}", cluster: 0);
            Assert.Equal("n0", await (await deployment.CompleteAsync($"fresh-{i}")).NodeAsync());
        }
    }

    [Fact]
    public async Task Unknown_model_is_not_found()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", [0]);
        var error = await (await deployment.CompleteAsync("nobody")).ErrorAsync(HttpStatusCode.NotFound, "NotFoundError", "model");
        Assert.Equal("The model `nobody` does not exist.", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task Failed_adapter_is_a_bad_request()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", [0]);
        await deployment.AddAdapterAsync("broken", cluster: 0, status: AdapterStatus.Failed);
        await (await deployment.CompleteAsync("broken")).ErrorAsync(HttpStatusCode.BadRequest, "BadRequestError", "model");
    }

    [Fact]
    public async Task No_live_node_for_the_cluster_is_unavailable_with_a_time_to_retry()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", [0]);
        await deployment.AddAdapterAsync("stranded", cluster: 7);
        var answer = await deployment.CompleteAsync("stranded");
        await answer.ErrorAsync(HttpStatusCode.ServiceUnavailable, "ServiceUnavailableError");
        Assert.Equal(TimeSpan.FromSeconds(1), answer.Headers.RetryAfter?.Delta);
        Assert.Equal("1000", Assert.Single(answer.Headers.GetValues("retry-after-ms")));
    }

    [Fact]
    public async Task Node_whose_lease_ends_gets_no_requests()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("short", [0], lease: TimeSpan.FromMilliseconds(500));
        await deployment.AddNodeAsync("long", [0]);
        await Deployment.UntilAsync(() => deployment.Destinations("base") is ["long"]);
        for (var i = 0; i < 8; i++)
            Assert.Equal("long", await (await deployment.CompleteAsync(null)).NodeAsync());
    }

    [Fact]
    public async Task Node_with_an_unusable_address_does_not_disturb_the_others()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var broken = new NodeRecord("broken", "not an address", Deployment.BaseModel, 2048, "g1", [0], true, 8, DateTimeOffset.UnixEpoch);
        await deployment.Index.AnnounceAsync(broken, TimeSpan.FromMinutes(1), Cancel);
        await deployment.AddNodeAsync("sound", [0]);
        Assert.Equal("sound", await (await deployment.CompleteAsync(null)).NodeAsync());
    }

    [Fact]
    public async Task Requests_go_to_the_less_busy_node()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var release = new TaskCompletionSource();
        var busy = await deployment.AddNodeAsync("busy", [0], async context =>
        {
            await release.Task;
            await context.Response.Body.FlushAsync();
        });
        await deployment.AddAdapterAsync("pinned", cluster: 0);
        var waiting = Enumerable.Range(0, 4).Select(_ => deployment.CompleteAsync("pinned")).ToArray();
        await Deployment.UntilAsync(() => busy.Requests.Count == 4);

        // Idle holds another cluster: the busy node's requests count although they came by way of its adapter cluster.
        await deployment.AddNodeAsync("idle", [1]);
        for (var i = 0; i < 8; i++)
            Assert.Equal("idle", await (await deployment.CompleteAsync(null)).NodeAsync());
        release.SetResult();
        await Task.WhenAll(waiting);
    }
}
