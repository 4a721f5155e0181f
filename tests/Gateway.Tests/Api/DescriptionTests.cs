using System.Text.Json;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Eigengate.Gateway.Tests.Api;

public sealed class DescriptionTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Description_has_exactly_the_paths_and_methods_that_are_served()
    {
        await using var gateway = GatewayHost.Build(
            new GatewayOptions { Index = garnet.Address, KeyPrefix = $"test-{Guid.NewGuid():N}" },
            "http://127.0.0.1:0",
            logging => logging.SetMinimumLevel(LogLevel.None));
        await gateway.StartAsync(Cancel);
        var served =
            from endpoint in gateway.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            let path = endpoint.RoutePattern.RawText!.Replace("{**id}", "{id}", StringComparison.Ordinal)
            from method in endpoint.Metadata.GetRequiredMetadata<HttpMethodMetadata>().HttpMethods
            select $"{method} {path}";

        using var client = new HttpClient { BaseAddress = new Uri(gateway.Urls.Single()) };
        using var description = JsonDocument.Parse(await client.GetStringAsync("/openapi.json", Cancel));
        var described =
            from path in description.RootElement.GetProperty("paths").EnumerateObject()
            from method in path.Value.EnumerateObject()
            select $"{method.Name.ToUpperInvariant()} {path.Name}";

        Assert.Equal(served.Distinct().Order(), described.Order());
    }

    [Fact]
    public async Task Description_refers_only_to_what_it_contains()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var description = await (await deployment.Client.GetAsync("/openapi.json", Cancel)).JsonAsync();
        foreach (var reference in References(description))
        {
            var found = description;
            foreach (var step in reference.Split('/').Skip(1))
                Assert.True(found.TryGetProperty(step, out found), reference);
        }
    }

    [Fact]
    public async Task Card_has_exactly_the_described_fields()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var description = await (await deployment.Client.GetAsync("/openapi.json", Cancel)).JsonAsync();
        var card = await (await deployment.Client.GetAsync($"/v1/models/{Deployment.BaseModel}", Cancel)).JsonAsync();
        var described = description.GetProperty("components").GetProperty("schemas").GetProperty("ModelCard").GetProperty("properties");
        Assert.Equal(described.EnumerateObject().Select(field => field.Name).Order(), card.EnumerateObject().Select(field => field.Name).Order());
    }

    private static IEnumerable<string> References(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(
            field => field.NameEquals("$ref") ? [field.Value.GetString()!] : References(field.Value)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(References),
        _ => [],
    };
}
