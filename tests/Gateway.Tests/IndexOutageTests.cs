using System.Net;
using Eigengate.AdapterCache.Tests;

namespace Eigengate.Gateway.Tests;

public sealed class IndexOutageTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Known_adapters_and_nodes_are_served_while_the_index_is_away_and_after_it_came_back_empty()
    {
        await using var redis = new RedisProcess();
        await redis.InitializeAsync();
        Assert.SkipWhen(redis.SkipReason is not null, redis.SkipReason ?? "");
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { Index = redis.Address });
        await deployment.AddNodeAsync("n0", [0]);
        await deployment.AddAdapterAsync("known", cluster: 0);
        await Deployment.UntilAsync(() => ListsAsync(deployment, "known").GetAwaiter().GetResult());

        await redis.KillAsync();
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal("n0", await (await deployment.CompleteAsync("known")).NodeAsync());
            await Task.Delay(50, Cancel);
        }

        var unknown = await deployment.CompleteAsync("unknown");
        await unknown.ErrorAsync(HttpStatusCode.ServiceUnavailable, "ServiceUnavailableError");

        // Nobody renews n0's lease here; it is still not dropped at once, because nodes need a moment to announce themselves again.
        await redis.StartAsync();
        await deployment.Index.RegisterBaseAsync(Deployment.Base, Cancel);
        await deployment.AddAdapterAsync("restored", cluster: 0);
        Assert.Equal("n0", await (await deployment.CompleteAsync("restored")).NodeAsync());
    }

    private static async Task<bool> ListsAsync(Deployment deployment, string id) =>
        (await deployment.Client.GetStringAsync("/v1/models", Cancel)).Contains($"\"{id}\"", StringComparison.Ordinal);
}
