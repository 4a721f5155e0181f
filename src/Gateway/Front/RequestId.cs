using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Front;

/// <summary>Gives every request an id: the client's when it is presentable, else a new one. Nodes see it, clients get it back (§2.1).</summary>
internal sealed class RequestId(RequestDelegate next)
{
    private const int LongestId = 128;

    public Task InvokeAsync(HttpContext context)
    {
        var sent = context.Request.Headers[RoutingHeaders.RequestId].ToString();
        var id = IsPresentable(sent) ? sent : Guid.NewGuid().ToString("N");
        context.Request.Headers[RoutingHeaders.RequestId] = id;

        // On start, because a node's answer and a cleared response overwrite what is set now.
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[RoutingHeaders.RequestId] = id;
            return Task.CompletedTask;
        });
        return next(context);
    }

    private static bool IsPresentable(string id) =>
        id.Length is > 0 and <= LongestId && id.All(character => character is > ' ' and < (char)0x7f);
}
