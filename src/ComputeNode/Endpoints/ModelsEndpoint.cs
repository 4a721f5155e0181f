using Eigengate.ComputeNode.Adapters;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c> of this node alone, for direct use (spec/http-api.md §10).</summary>
internal static class ModelsEndpoint
{
    public static void MapModels(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/models", (RequestDelegate)ListAsync);
        // Names may contain slashes.
        routes.MapGet("/v1/models/{**id}", (RequestDelegate)GetAsync);
    }

    private static Task ListAsync(HttpContext context)
    {
        var list = new ModelList([.. context.RequestServices.GetRequiredService<AdapterCatalog>().List()]);
        return context.Response.WriteAsJsonAsync(list, ApiJson.Wire.ModelList, cancellationToken: context.RequestAborted);
    }

    private static async Task GetAsync(HttpContext context)
    {
        string id = context.Request.RouteValues["id"] as string ?? "";
        ModelCard card = await context.RequestServices.GetRequiredService<AdapterCatalog>().GetAsync(id, context.RequestAborted);
        await context.Response.WriteAsJsonAsync(card, ApiJson.Wire.ModelCard, cancellationToken: context.RequestAborted);
    }
}
