using Eigengate.ComputeNode.Hosting;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>GET /load</c>: generation requests in flight.</summary>
internal static class LoadEndpoint
{
    public static void MapLoad(this IEndpointRouteBuilder routes) => routes.MapGet("/load", (RequestDelegate)(context =>
    {
        int inFlight = context.RequestServices.GetRequiredService<NodeActivity>().InFlight;
        return context.Response.WriteAsJsonAsync(new LoadDocument(inFlight), ApiJson.Wire.LoadDocument, cancellationToken: context.RequestAborted);
    }));
}
