using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Front;

/// <summary>Names the caller of a request, once its API key is known to be valid.</summary>
internal static class Caller
{
    /// <summary>By its key where keys are asked for, else by its address; kept with the request.</summary>
    public static string Of(HttpContext context, GatewayOptions options)
    {
        var caller = options.ApiKeys.Count > 0 && BearerKey.Of(context.Request) is { } key
            ? CallerId.OfKey(key)
            : CallerId.OfAddress(context.Connection.RemoteIpAddress);
        context.Items[typeof(Caller)] = caller;
        return caller;
    }

    /// <summary>As it was named before.</summary>
    public static string Of(HttpContext context) => (string)context.Items[typeof(Caller)]!;
}
