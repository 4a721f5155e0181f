using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Front;

/// <summary>Gives every request an id: the client's when it is presentable, else a new one. Nodes see it, clients get it back (§2.1).</summary>
internal sealed class RequestId(RequestDelegate next)
{
    private const int LongestId = 128;

    public Task InvokeAsync(HttpContext context)
    {
        if (!IsPresentable(context.Request.Headers[RoutingHeaders.RequestId].ToString()))
        {
            context.Request.Headers[RoutingHeaders.RequestId] = Guid.NewGuid().ToString("N");
            context.Items[typeof(RequestId)] = true;
        }

        // On start, because a node's answer and a cleared response overwrite what is set now.
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[RoutingHeaders.RequestId] = context.Request.Headers[RoutingHeaders.RequestId];
            return Task.CompletedTask;
        });
        return next(context);
    }

    /// <summary>Takes the id of the body, unless the client sent a header, which comes first.</summary>
    public static void Adopt(HttpContext context, string? fromBody)
    {
        if (fromBody is not null && IsPresentable(fromBody) && context.Items.ContainsKey(typeof(RequestId)))
            context.Request.Headers[RoutingHeaders.RequestId] = fromBody;
    }

    private static bool IsPresentable(string id) =>
        id.Length is > 0 and <= LongestId && id.All(character => character is > ' ' and < (char)0x7f);
}
