using System.Net;
using Eigengate.AdapterCache;

namespace Eigengate.Gateway.Tests.Api;

public sealed class ModelsTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task List_has_the_base_first_then_servable_adapters_in_registration_order()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { OwnedBy = "acme" });
        await deployment.AddAdapterAsync("zebra", 0);
        await deployment.AddAdapterAsync("broken", 0, status: AdapterStatus.Failed);
        await deployment.AddAdapterAsync("team/ape", 0);
        var models = await ListUntilAsync(deployment, count: 3);
        Assert.Equal([Deployment.BaseModel, "zebra", "team/ape"], models.Select(model => model.GetProperty("id").GetString()));

        var card = models[0];
        Assert.Equal("model", card.GetProperty("object").GetString());
        Assert.Equal(1_790_000_000, card.GetProperty("created").GetInt64());
        Assert.Equal("acme", card.GetProperty("owned_by").GetString());
        Assert.Equal("/models/base-1b", card.GetProperty("root").GetString());
        Assert.Equal(System.Text.Json.JsonValueKind.Null, card.GetProperty("parent").ValueKind);
        Assert.Equal(2048, card.GetProperty("max_model_len").GetInt32());

        card = models[2];
        Assert.Equal(1_790_000_001, card.GetProperty("created").GetInt64());
        Assert.Equal("/adapters/team/ape", card.GetProperty("root").GetString());
        Assert.Equal(Deployment.BaseModel, card.GetProperty("parent").GetString());
        Assert.Equal(System.Text.Json.JsonValueKind.Null, card.GetProperty("max_model_len").ValueKind);
        Assert.Equal("model_permission", card.GetProperty("permission")[0].GetProperty("object").GetString());
    }

    [Theory]
    [InlineData("team/ape", "/v1/models/team/ape")]
    [InlineData("team/ape", "/v1/models/team%2Fape")]
    [InlineData("größe 1", "/v1/models/gr%C3%B6%C3%9Fe%201")]
    [InlineData(Deployment.BaseModel, "/v1/models/acme/base-1b")]
    public async Task Card_is_found_by_id(string id, string path)
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        if (id != Deployment.BaseModel)
            await deployment.AddAdapterAsync(id, 0);
        var card = await (await deployment.Client.GetAsync(path, Cancel)).JsonAsync();
        Assert.Equal(id, card.GetProperty("id").GetString());
    }

    [Fact]
    public async Task Card_of_an_unknown_id_is_not_found()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var answer = await deployment.Client.GetAsync("/v1/models/no/body", Cancel);
        await answer.ErrorAsync(HttpStatusCode.NotFound, "NotFoundError", "model");
    }

    [Fact]
    public async Task Health_follows_the_nodes()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await ExpectHealthAsync(HttpStatusCode.ServiceUnavailable);
        await deployment.AddNodeAsync("n0", []);
        await ExpectHealthAsync(HttpStatusCode.OK);
        await deployment.Index.WithdrawAsync("n0", Cancel);
        await Deployment.UntilAsync(() => deployment.Destinations("base").Count == 0);
        await ExpectHealthAsync(HttpStatusCode.ServiceUnavailable);

        async Task ExpectHealthAsync(HttpStatusCode status)
        {
            foreach (var path in (string[])["/health", "/ping"])
            {
                var answer = await deployment.Client.GetAsync(path, Cancel);
                Assert.Equal(status, answer.StatusCode);
                Assert.Empty(await answer.Content.ReadAsByteArrayAsync(Cancel));
            }

            Assert.Equal(status, (await deployment.Client.PostAsync("/ping", null, Cancel)).StatusCode);
        }
    }

    [Fact]
    public async Task Version_and_description_are_served()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var version = await (await deployment.Client.GetAsync("/version", Cancel)).JsonAsync();
        Assert.Matches(@"^\d+\.\d+\.\d+$", version.GetProperty("version").GetString());
        var description = await (await deployment.Client.GetAsync("/openapi.json", Cancel)).JsonAsync();
        Assert.StartsWith("3.", description.GetProperty("openapi").GetString(), StringComparison.Ordinal);
    }

    private static async Task<System.Text.Json.JsonElement[]> ListUntilAsync(Deployment deployment, int count)
    {
        while (true)
        {
            var list = await (await deployment.Client.GetAsync("/v1/models", Cancel)).JsonAsync();
            Assert.Equal("list", list.GetProperty("object").GetString());
            if (list.GetProperty("data").GetArrayLength() == count)
                return [.. list.GetProperty("data").EnumerateArray()];
            await Task.Delay(20, Cancel);
        }
    }
}
