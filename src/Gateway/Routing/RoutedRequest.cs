using Eigengate.AdapterCache;
using Eigengate.Gateway.Front;
using Eigengate.OpenAiApi;
using Microsoft.Net.Http.Headers;
using Yarp.ReverseProxy.Transforms;

namespace Eigengate.Gateway.Routing;

/// <summary>What the gateway has found out about a generation request; a feature of its context.</summary>
/// <param name="body">The whole request body.</param>
internal sealed class RoutedRequest(ReadOnlyMemory<byte> body)
{
    public ReadOnlyMemory<byte> Body { get; } = body;

    /// <summary>The adapter version pinned at admission; null for the base.</summary>
    public AdapterRecord? Adapter { get; set; }

    /// <summary>Whether another node is left to try.</summary>
    public bool CanTryAnother { get; private set; }

    /// <summary>The node answered that it takes no requests now, and the answer was held back.</summary>
    public bool NodeDeclined { get; set; }

    /// <summary>Why the node's event stream broke off, if it did.</summary>
    public Exception? StreamBroken { get; set; }

    public void BeginAttempt(bool canTryAnother)
    {
        CanTryAnother = canTryAnother;
        NodeDeclined = false;
        StreamBroken = null;
    }

    /// <summary>Tells the node which adapter version was resolved and who asks, and keeps the client's API key from it.</summary>
    public static ValueTask WriteHeadersAsync(RequestTransformContext context)
    {
        var headers = context.ProxyRequest.Headers;
        headers.Remove(HeaderNames.Authorization);
        headers.Remove(RoutingHeaders.Adapter);
        headers.Remove(RoutingHeaders.AdapterVersion);
        headers.Remove(RoutingHeaders.Caller);
        headers.Add(RoutingHeaders.Caller, Caller.Of(context.HttpContext));
        if (context.HttpContext.Features.Get<RoutedRequest>()?.Adapter is { } adapter)
        {
            headers.Add(RoutingHeaders.Adapter, Uri.EscapeDataString(adapter.Id));
            headers.Add(RoutingHeaders.AdapterVersion, adapter.Version);
        }

        return ValueTask.CompletedTask;
    }
}
