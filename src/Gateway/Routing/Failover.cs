using System.Runtime.InteropServices;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Model;

namespace Eigengate.Gateway.Routing;

/// <summary>
/// Sends the request to another node of the proxy cluster when one fails, or declines with 503, before the first byte of the
/// response (§13). When no node is left the client gets an error in the usual shape.
/// </summary>
internal sealed class Failover(RequestDelegate next, NodeTraffic traffic, GatewayOptions options, ILogger<Failover> logger)
{
    private const int MaxAttempts = 3;

    public async Task InvokeAsync(HttpContext context)
    {
        var request = context.Features.GetRequiredFeature<RoutedRequest>();
        var proxy = context.GetReverseProxyFeature();
        var nodes = proxy.AvailableDestinations;
        for (var attempt = 1; ; attempt++)
        {
            request.BeginAttempt(canTryAnother: nodes.Count > 1 && attempt < MaxAttempts);
            BeginAttempt(context, proxy, request, nodes);
            await next(context);
            if (context.RequestAborted.IsCancellationRequested)
                return;

            var node = proxy.ProxiedDestination?.DestinationId;
            var failure = NodeFailure.Of(context, request);
            Note(node, failure, context, attempt);
            if (context.Response.HasStarted || (failure is null && !request.NodeDeclined))
                return;

            context.Response.Clear();
            if (failure is not null && (failure.TimedOut || !request.CanTryAnother))
            {
                await ErrorOf(failure).WriteAsync(context.Response, context.RequestAborted);
                return;
            }

            nodes = [.. nodes.Where(other => other.DestinationId != node)];
        }
    }

    private static void BeginAttempt(HttpContext context, IReverseProxyFeature proxy, RoutedRequest request, IReadOnlyList<DestinationState> nodes)
    {
        proxy.AvailableDestinations = nodes;
        proxy.ProxiedDestination = null;
        context.Features.Set<IForwarderErrorFeature>(null);
        context.Request.Body = MemoryMarshal.TryGetArray(request.Body, out var body)
            ? new MemoryStream(body.Array!, body.Offset, body.Count, writable: false)
            : Stream.Null;
    }

    private void Note(string? node, NodeFailure? failure, HttpContext context, int attempt)
    {
        if (node is null)
            return;
        if (failure is null)
        {
            traffic.Answered(node);
            return;
        }

        traffic.Failed(node);
        logger.LogWarning(
            failure.Exception,
            "Request {RequestId}: node {Node} failed ({Reason}), attempt {Attempt}",
            context.Request.Headers[RoutingHeaders.RequestId].ToString(), node, failure.Reason, attempt);
    }

    private ApiError ErrorOf(NodeFailure failure) => failure.TimedOut
        ? ApiError.TimedOut($"The node sent nothing for {options.ActivityTimeout.TotalSeconds:0} seconds.")
        : ApiError.Unavailable("The node that served this request failed and no other could take it.", options.RetryAfter);
}
