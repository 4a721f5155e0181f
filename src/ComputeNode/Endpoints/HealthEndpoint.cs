using Eigengate.ComputeNode.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>/health</c> and <c>/ping</c>: 200 while requests are taken, 503 while draining, both without a body (spec/http-api.md §12.4).</summary>
internal static class HealthEndpoint
{
    private static readonly string[] GetAndPost = [HttpMethods.Get, HttpMethods.Post];

    public static void MapHealth(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/health", (RequestDelegate)Answer);
        routes.MapMethods("/ping", GetAndPost, (RequestDelegate)Answer);
    }

    private static Task Answer(HttpContext context)
    {
        bool draining = context.RequestServices.GetRequiredService<NodeActivity>().IsDraining;
        context.Response.StatusCode = draining ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        return Task.CompletedTask;
    }
}
