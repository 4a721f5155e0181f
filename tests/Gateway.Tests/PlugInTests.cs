using System.Net;
using Eigengate.AdapterCache;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Eigengate.Gateway.Tests;

public sealed class PlugInTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Gateway_lives_beside_the_endpoints_of_another_application()
    {
        var options = new GatewayOptions { Index = garnet.Address, KeyPrefix = $"test-{Guid.NewGuid():N}", ApiKeys = ["secret"] };
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        builder.Services.AddEigengateGateway(options);
        await using var app = builder.Build();
        app.MapGet("/mine", () => "mine");
        app.MapEigengateGateway();
        await app.StartAsync(Cancel);

        await using var node = await UpstreamNode.StartAsync("n0");
        await using var index = await AdapterIndex.ConnectAsync(options.Index, options.KeyPrefix, Cancel);
        var record = new NodeRecord("n0", node.Url, "base", 2048, "", [], ServesExact: false, MaxSequences: 8, DateTimeOffset.UnixEpoch);
        await using var lease = await NodeLease.StartAsync(index, record, cancel: Cancel);

        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
        await Deployment.UntilAsync(() => client.GetAsync("/health", Cancel).GetAwaiter().GetResult().IsSuccessStatusCode);
        Assert.Equal("mine", await client.GetStringAsync("/mine", Cancel));
        using var open = await client.PostAsync("/v1/completions", Body(), Cancel);
        await open.ErrorAsync(HttpStatusCode.Unauthorized, "AuthenticationError");
        client.DefaultRequestHeaders.Authorization = new("Bearer", "secret");
        using var guarded = await client.PostAsync("/v1/completions", Body(), Cancel);
        Assert.Equal("n0", await guarded.NodeAsync());

        static StringContent Body() => new("{}", null, "application/json");
    }

    [Fact]
    public async Task Start_fails_with_the_address_when_the_index_is_not_there()
    {
        await using var gateway = GatewayHost.Build(
            new GatewayOptions { Index = "127.0.0.1:1" }, "http://127.0.0.1:0", logging => logging.SetMinimumLevel(LogLevel.None));
        var failure = await Assert.ThrowsAsync<IndexUnavailableException>(() => gateway.StartAsync(Cancel));
        Assert.Contains("127.0.0.1:1", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_out_of_range_are_refused_with_all_their_names()
    {
        var failure = Assert.Throws<ArgumentException>(
            () => GatewayHost.Build(new GatewayOptions { Index = "", MaxBodyBytes = 0, ApiKeys = [""] }, "http://127.0.0.1:0"));
        foreach (var name in (string[])["Index", "MaxBodyBytes", "ApiKeys"])
            Assert.Contains(name, failure.Message, StringComparison.Ordinal);
    }
}
