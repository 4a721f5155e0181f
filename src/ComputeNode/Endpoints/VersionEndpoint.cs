using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>GET /version</c>.</summary>
internal static class VersionEndpoint
{
    private static readonly VersionDocument Version = new(typeof(VersionEndpoint).Assembly.GetName().Version!.ToString(3));

    public static void MapVersion(this IEndpointRouteBuilder routes) => routes.MapGet("/version", (RequestDelegate)(context =>
        context.Response.WriteAsJsonAsync(Version, ApiJson.Wire.VersionDocument, cancellationToken: context.RequestAborted)));
}
