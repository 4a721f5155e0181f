using System.Globalization;
using Eigengate.AdapterCache;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;

namespace Eigengate.Gateway.Routing;

/// <summary>
/// Proxy configuration from the live nodes: one proxy cluster per adapter cluster of a generation, one for exact adapters, one
/// for the base. A proxy destination is a node, under the node's id in each of them.
/// </summary>
internal sealed class NodeProxyConfig
{
    public const string BaseCluster = "base";

    private const string ExactCluster = "exact";

    private static readonly string[] GenerationPaths = ["/v1/completions", "/v1/chat/completions"];

    private readonly IReadOnlyList<RouteConfig> _routes;
    private readonly ForwarderRequestConfig _forwarding;
    private readonly NodeTraffic _traffic;
    private IReadOnlyList<NodeRecord>? _nodes;
    private string? _base;

    public NodeProxyConfig(GatewayOptions options, NodeTraffic traffic)
    {
        _traffic = traffic;
        _forwarding = new ForwarderRequestConfig { ActivityTimeout = options.ActivityTimeout, AllowResponseBuffering = false };
        _routes = [.. GenerationPaths.Select(path => new RouteConfig
        {
            RouteId = path,
            ClusterId = BaseCluster,
            Match = new RouteMatch { Path = path, Methods = [HttpMethods.Post] },
        })];
        Provider = new InMemoryConfigProvider(_routes, [Cluster(BaseCluster, [])]);
    }

    public InMemoryConfigProvider Provider { get; }

    public static string ClusterOf(AdapterRecord adapter) => adapter.Cluster is { } cluster ? ClusterOf(adapter.Generation, cluster) : ExactCluster;

    /// <summary>Takes over the nodes of a snapshot; does nothing when they are the same as before. Called by one thread at a time.</summary>
    public void Follow(IndexSnapshot snapshot)
    {
        if (ReferenceEquals(snapshot.Nodes, _nodes) && snapshot.Base?.Name == _base)
            return;
        _nodes = snapshot.Nodes;
        _base = snapshot.Base?.Name;
        var usable = snapshot.Nodes.Where(node => (_base is null || node.BaseModel == _base) && IsAddress(node.Url)).ToList();
        _traffic.Keep(usable.Select(node => node.Id));
        Provider.Update(_routes, Clusters(usable));
    }

    private List<ClusterConfig> Clusters(List<NodeRecord> nodes)
    {
        var held = nodes
            .SelectMany(node => node.Clusters.Distinct().Select(cluster => (Name: ClusterOf(node.Generation, cluster), Node: node)))
            .GroupBy(pair => pair.Name, pair => pair.Node)
            .Select(group => Cluster(group.Key, group));
        return [Cluster(BaseCluster, nodes), Cluster(ExactCluster, nodes.Where(node => node.ServesExact)), .. held];
    }

    private ClusterConfig Cluster(string name, IEnumerable<NodeRecord> nodes) => new()
    {
        ClusterId = name,
        LoadBalancingPolicy = LeastInFlightPolicy.PolicyName,
        HttpRequest = _forwarding,
        Destinations = nodes.ToDictionary(node => node.Id, node => new DestinationConfig { Address = node.Url }, StringComparer.OrdinalIgnoreCase),
    };

    private static string ClusterOf(string generation, int cluster) => string.Create(CultureInfo.InvariantCulture, $"{generation}/{cluster}");

    // One node with an unusable address must not make the proxy refuse the whole configuration.
    private static bool IsAddress(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps);
}
