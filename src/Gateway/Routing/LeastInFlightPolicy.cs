using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.LoadBalancing;
using Yarp.ReverseProxy.Model;

namespace Eigengate.Gateway.Routing;

/// <summary>Of two nodes drawn at random the one with fewer requests in flight, leaving out nodes that just failed.</summary>
internal sealed class LeastInFlightPolicy(NodeTraffic traffic) : ILoadBalancingPolicy
{
    public const string PolicyName = "LeastInFlight";

    public string Name => PolicyName;

    public DestinationState? PickDestination(HttpContext context, ClusterState cluster, IReadOnlyList<DestinationState> availableDestinations)
    {
        var sound = availableDestinations.Where(node => !traffic.IsSuspect(node.DestinationId)).ToArray();
        return Pick(sound.Length > 0 ? sound : availableDestinations);
    }

    private DestinationState? Pick(IReadOnlyList<DestinationState> nodes)
    {
        if (nodes.Count < 2)
            return nodes.Count == 0 ? null : nodes[0];

        // Drawn without putting the first back, so that two nodes are always both looked at.
        var first = Random.Shared.Next(nodes.Count);
        var second = Random.Shared.Next(nodes.Count - 1);
        if (second >= first)
            second++;
        return traffic.InFlight(nodes[first].DestinationId) <= traffic.InFlight(nodes[second].DestinationId) ? nodes[first] : nodes[second];
    }
}
