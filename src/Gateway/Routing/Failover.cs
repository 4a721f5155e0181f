using System.Net;
using System.Runtime.InteropServices;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Transforms;

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
            request.CanTryAnother = nodes.Count > 1 && attempt < MaxAttempts;
            request.NodeDeclined = false;
            proxy.AvailableDestinations = nodes;
            proxy.ProxiedDestination = null;
            context.Request.Body = Replay(request.Body);
            await next(context);

            var failure = context.Features.Get<IForwarderErrorFeature>();
            var node = proxy.ProxiedDestination?.DestinationId;
            if (failure is null && !request.NodeDeclined)
            {
                if (node is not null)
                    traffic.Answered(node);
                return;
            }

            if (context.RequestAborted.IsCancellationRequested)
                return;
            if (failure is not null)
            {
                if (node is not null)
                    traffic.Failed(node);
                logger.LogWarning(
                    failure.Exception,
                    "Request {RequestId}: node {Node} failed ({Failure}), attempt {Attempt}",
                    context.Request.Headers[RoutingHeaders.RequestId].ToString(), node, failure.Error, attempt);
            }

            if (context.Response.HasStarted)
                return;
            context.Response.Clear();
            context.Features.Set<IForwarderErrorFeature>(null);
            if (failure is not null && (IsTimeout(failure) || !request.CanTryAnother))
            {
                await ErrorOf(failure).WriteAsync(context.Response, context.RequestAborted);
                return;
            }

            nodes = [.. nodes.Where(other => other.DestinationId != node)];
        }
    }

    /// <summary>Holds back a node's 503 while another node can be asked.</summary>
    public static ValueTask InspectAsync(ResponseTransformContext context)
    {
        if (context.ProxyResponse?.StatusCode == HttpStatusCode.ServiceUnavailable
            && context.HttpContext.Features.Get<RoutedRequest>() is { CanTryAnother: true } request)
        {
            request.NodeDeclined = true;
            context.SuppressResponseBody = true;
        }

        return ValueTask.CompletedTask;
    }

    private ApiError ErrorOf(IForwarderErrorFeature failure) => IsTimeout(failure)
        ? ApiError.TimedOut($"The node sent nothing for {options.ActivityTimeout.TotalSeconds:0} seconds.")
        : ApiError.Unavailable("The node that served this request failed and no other could take it.", options.RetryAfter);

    /// <summary>The node is busy with the request but silent: another would need as long. A connection that cannot be made is no such case.</summary>
    private static bool IsTimeout(IForwarderErrorFeature failure) =>
        failure.Error == ForwarderError.RequestTimedOut && failure.Exception?.InnerException is not TimeoutException;

    private static MemoryStream Replay(ReadOnlyMemory<byte> body) =>
        MemoryMarshal.TryGetArray(body, out var segment) ? new(segment.Array!, segment.Offset, segment.Count, writable: false) : new();
}
