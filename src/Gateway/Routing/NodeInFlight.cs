using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Routing;

/// <summary>Counts the request at the node that was chosen for it.</summary>
internal sealed class NodeInFlight(RequestDelegate next, NodeTraffic traffic)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var chosen = context.GetReverseProxyFeature().AvailableDestinations;
        if (chosen.Count == 0)
        {
            await next(context);
            return;
        }

        var node = chosen[0].DestinationId;
        traffic.Enter(node);
        try
        {
            await next(context);
        }
        finally
        {
            traffic.Leave(node);
        }
    }
}
