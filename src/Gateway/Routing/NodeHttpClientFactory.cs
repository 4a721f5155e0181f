using System.Diagnostics;
using System.Net;
using Yarp.ReverseProxy.Forwarder;

namespace Eigengate.Gateway.Routing;

/// <summary>One client for all proxy clusters: a node is in many of them, and its connections are shared.</summary>
internal sealed class NodeHttpClientFactory(GatewayOptions options) : IForwarderHttpClientFactory, IDisposable
{
    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        EnableMultipleHttp2Connections = true,
        ActivityHeadersPropagator = new ReverseProxyPropagator(DistributedContextPropagator.Current),
        ConnectTimeout = options.ConnectTimeout,
    });

    public HttpMessageInvoker CreateClient(ForwarderHttpClientContext context) => _client;

    public void Dispose() => _client.Dispose();
}
