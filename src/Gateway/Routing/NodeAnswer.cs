using System.Net;
using Yarp.ReverseProxy.Transforms;

namespace Eigengate.Gateway.Routing;

/// <summary>Looks at a node's response headers before its body goes to the client.</summary>
internal static class NodeAnswer
{
    /// <summary>Holds back a node's 503 while another node can be asked, and copies event streams in our own way.</summary>
    public static async ValueTask InspectAsync(ResponseTransformContext context, GatewayOptions options, TimeProvider time)
    {
        if (context.ProxyResponse is not { } answer || context.HttpContext.Features.Get<RoutedRequest>() is not { } request)
            return;
        if (answer.StatusCode == HttpStatusCode.ServiceUnavailable && request.CanTryAnother)
        {
            request.NodeDeclined = true;
            context.SuppressResponseBody = true;
        }
        else if (answer.Content.Headers.ContentType?.MediaType == "text/event-stream")
        {
            context.SuppressResponseBody = true;
            var cancel = context.HttpContext.RequestAborted;
            var events = await answer.Content.ReadAsStreamAsync(cancel);
            request.StreamBroken = await EventStreamRelay.CopyAsync(events, context.HttpContext.Response, options.ActivityTimeout, time, cancel);
        }
    }
}
