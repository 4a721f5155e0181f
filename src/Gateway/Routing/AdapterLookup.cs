using Eigengate.AdapterCache;
using Eigengate.Gateway.Front;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy;

namespace Eigengate.Gateway.Routing;

/// <summary>Resolves <c>model</c> to the base or an adapter version (§4), and that to the nodes that can serve it.</summary>
internal sealed class AdapterLookup(RequestDelegate next, GatewayIndex index, IProxyStateLookup clusters, GatewayOptions options)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var request = context.Features.GetRequiredFeature<RoutedRequest>();
        var (model, requestId) = RoutingFields.Read(request.Body.Span);
        RequestId.Adopt(context, requestId);
        if (!string.IsNullOrEmpty(model) && model != index.Snapshot.Base?.Name)
            request.Adapter = await ResolveAsync(model, context.RequestAborted);

        var name = request.Adapter is { } adapter ? NodeProxyConfig.ClusterOf(adapter) : NodeProxyConfig.BaseCluster;
        if (!clusters.TryGetCluster(name, out var cluster) || cluster.DestinationsState.AvailableDestinations.Count == 0)
            throw new ApiException(ApiError.Unavailable(
                $"No node that can serve {(request.Adapter is null ? "the base model" : $"the model `{model}`")} is available.", options.RetryAfter));
        context.ReassignProxyRequest(cluster);
        await next(context);
    }

    private async Task<AdapterRecord> ResolveAsync(string model, CancellationToken cancel)
    {
        var adapter = await index.FindAsync(model, cancel) ?? throw new ApiException(ApiError.UnknownModel(model));
        return adapter.Status == AdapterStatus.Ready
            ? adapter
            : throw new ApiException(ApiError.BadRequest($"The model `{model}` cannot be served: {adapter.Failure ?? "its weights could not be loaded"}", "model"));
    }
}
