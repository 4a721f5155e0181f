using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Eigengate.Gateway.Routing;

/// <summary>How a node failed a request.</summary>
/// <param name="Reason">For the log.</param>
/// <param name="Exception">For the log.</param>
/// <param name="TimedOut">The node was silent for too long. Another would need as long, so it is not asked.</param>
internal sealed record NodeFailure(string Reason, Exception? Exception, bool TimedOut)
{
    /// <summary>What the last attempt came to; null when the node answered.</summary>
    public static NodeFailure? Of(HttpContext context, RoutedRequest request)
    {
        if (request.StreamBroken is { } broken)
            return new NodeFailure("StreamBroken", broken, broken is TimeoutException);
        if (context.Features.Get<IForwarderErrorFeature>() is not { } error)
            return null;

        // A connection that cannot be made in time is reported as a timeout too, but then another node is worth asking.
        var couldNotConnect = error.Exception?.InnerException is TimeoutException;
        return new NodeFailure(error.Error.ToString(), error.Exception, error.Error == ForwarderError.RequestTimedOut && !couldNotConnect);
    }
}
