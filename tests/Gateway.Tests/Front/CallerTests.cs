using System.Net;
using Eigengate.Gateway.Front;
using Eigengate.OpenAiApi;

namespace Eigengate.Gateway.Tests.Front;

public sealed class CallerTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Node_learns_the_caller_by_its_key_and_never_the_key()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ApiKeys = ["first", "second"] });
        var node = await deployment.AddNodeAsync("n0", []);
        foreach (var key in (string[])["first", "second", "first"])
            Assert.Equal(HttpStatusCode.OK, (await SendAsync(deployment, key, claimed: "somebody-else")).StatusCode);

        string[] callers = [.. node.Requests.Select(request => request.Headers[RoutingHeaders.Caller].ToString())];
        Assert.All(callers, caller => Assert.Matches("^key-[0-9a-f]{16}$", caller));
        Assert.Equal(callers[0], callers[2]);
        Assert.NotEqual(callers[0], callers[1]);
        Assert.All(node.Requests, request => Assert.False(request.Headers.ContainsKey("Authorization")));
    }

    [Fact]
    public async Task Without_keys_the_caller_is_the_address_whatever_the_client_claims()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var node = await deployment.AddNodeAsync("n0", []);
        await SendAsync(deployment, "made-up-1", "a");
        await SendAsync(deployment, "made-up-2", "b");
        Assert.Equal(["ip-127.0.0.1", "ip-127.0.0.1"], node.Requests.Select(request => request.Headers[RoutingHeaders.Caller].ToString()));
    }

    [Fact]
    public async Task Flood_of_one_key_leaves_places_to_others()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ApiKeys = ["flood", "other"], MaxInFlightRequests = 8 });
        var release = new TaskCompletionSource();
        var node = await deployment.AddNodeAsync("n0", [], _ => release.Task);
        var running = Enumerable.Range(0, 7).Select(_ => SendAsync(deployment, "flood")).ToList();
        await Deployment.UntilAsync(() => node.Requests.Count == 7);

        await (await SendAsync(deployment, "flood")).ErrorAsync(HttpStatusCode.TooManyRequests, "RateLimitError");
        running.Add(SendAsync(deployment, "other"));
        await Deployment.UntilAsync(() => node.Requests.Count == 8);
        await (await SendAsync(deployment, "other")).ErrorAsync(HttpStatusCode.TooManyRequests, "RateLimitError");
        release.SetResult();
        foreach (var request in running)
            Assert.Equal(HttpStatusCode.OK, (await request).StatusCode);
    }

    [Fact]
    public void Places_are_all_given_back_and_no_caller_is_remembered()
    {
        var admission = new Admission(new GatewayOptions { Index = "unused", MaxInFlightRequests = 100 });
        var random = new Random(1);
        var inside = new List<string>();
        for (var i = 0; i < 20_000; i++)
        {
            var caller = $"caller-{random.Next(1000)}";
            if (random.Next(2) == 0 && admission.TryEnter(caller))
                inside.Add(caller);
            else if (inside.Count > 0)
                Leave(random.Next(inside.Count));
            Assert.Equal(inside.Count, admission.InFlight);
            Assert.InRange(inside.Count, 0, 100);
        }

        while (inside.Count > 0)
            Leave(0);
        Assert.Equal((0, 0), (admission.InFlight, admission.Callers));

        void Leave(int place)
        {
            admission.Leave(inside[place]);
            inside.RemoveAt(place);
        }
    }

    [Theory]
    [InlineData("192.0.2.7", "ip-192.0.2.7")]
    [InlineData("::ffff:192.0.2.7", "ip-192.0.2.7")]
    [InlineData("2001:db8:1:2:3:4:5:6", "net-20010db800010002")]
    [InlineData("2001:db8:1:2:ffff::1", "net-20010db800010002")]
    [InlineData(null, "local")]
    public void Address_of_one_host_or_network_is_one_caller(string? address, string expected) =>
        Assert.Equal(expected, CallerId.OfAddress(address is null ? null : IPAddress.Parse(address)));

    private static Task<HttpResponseMessage> SendAsync(Deployment deployment, string key, string? claimed = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent("""{"prompt": "hi"}""", null, "application/json") };
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
        if (claimed is not null)
            request.Headers.Add(RoutingHeaders.Caller, claimed);
        return deployment.Client.SendAsync(request, Cancel);
    }
}
