using Eigengate.ComputeNode.Adapters;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Hosting;
using Eigengate.ComputeNode.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>GET /metrics</c>, with any path behind it, for Prometheus (spec/http-api.md §1, §12.5).</summary>
internal static class MetricsEndpoint
{
    public static void MapMetrics(this IEndpointRouteBuilder routes)
    {
        ServedModel model = routes.ServiceProvider.GetRequiredService<ServedModel>();
        Inference.Engine engine = routes.ServiceProvider.GetRequiredService<NodeResources>().Loop.Engine;
        RequestMetrics requests = routes.ServiceProvider.GetRequiredService<RequestMetrics>();
        HostAdapterCache host = routes.ServiceProvider.GetRequiredService<HostAdapterCache>();
        TimeProvider time = routes.ServiceProvider.GetRequiredService<TimeProvider>();
        routes.MapGet("/metrics/{**any}", (RequestDelegate)(context =>
        {
            context.Response.ContentType = PrometheusText.ContentType;
            return context.Response.WriteAsync(MetricFamilies.Write(model.Name, engine, host.Stats, requests, time.GetUtcNow()), context.RequestAborted);
        }));
    }
}
