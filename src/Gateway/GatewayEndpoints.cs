using Eigengate.Gateway.Api;
using Eigengate.Gateway.Front;
using Eigengate.Gateway.Routing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Eigengate.Gateway;

public static class GatewayEndpoints
{
    /// <summary>
    /// Maps the API (spec/http-api.md §1). API keys, request ids and error shapes come with each endpoint; CORS and answers to
    /// unknown paths are the application's.
    /// </summary>
    public static void MapEigengateGateway(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/v1/models", Guarded(ModelsEndpoint.ListAsync));
        endpoints.MapGet("/v1/models/{**id}", Guarded(ModelsEndpoint.GetAsync));
        endpoints.MapGet("/load", Guarded(OperationalEndpoints.LoadAsync));
        endpoints.MapGet("/openapi.json", Guarded(OperationalEndpoints.OpenApiAsync));
        endpoints.MapGet("/health", Open(OperationalEndpoints.HealthAsync));
        endpoints.MapMethods("/ping", [HttpMethods.Get, HttpMethods.Post], Open(OperationalEndpoints.HealthAsync));
        endpoints.MapGet("/version", Open(OperationalEndpoints.VersionAsync));

        // The paths of generation are routes of NodeProxyConfig.
        endpoints.MapReverseProxy(proxy =>
        {
            proxy.UseMiddleware<RequestId>();
            proxy.UseMiddleware<ErrorBoundary>();
            proxy.UseMiddleware<ApiKeyMiddleware>();
            proxy.UseMiddleware<AdmissionMiddleware>();
            proxy.UseMiddleware<BodyBuffering>();
            proxy.UseMiddleware<AdapterLookup>();
            proxy.UseMiddleware<Failover>();
            proxy.UseLoadBalancing();
            proxy.UseMiddleware<NodeInFlight>();
        });

        RequestDelegate Guarded(RequestDelegate endpoint) => Compose(endpoint, guarded: true);
        RequestDelegate Open(RequestDelegate endpoint) => Compose(endpoint, guarded: false);

        RequestDelegate Compose(RequestDelegate endpoint, bool guarded)
        {
            var pipeline = endpoints.CreateApplicationBuilder();
            pipeline.UseMiddleware<RequestId>();
            pipeline.UseMiddleware<ErrorBoundary>();
            if (guarded)
                pipeline.UseMiddleware<ApiKeyMiddleware>();
            pipeline.Run(endpoint);
            return pipeline.Build();
        }
    }
}
