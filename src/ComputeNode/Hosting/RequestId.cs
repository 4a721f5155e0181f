using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Eigengate.ComputeNode.Hosting;

/// <summary>
/// The id under which one HTTP request appears in the response id, the response header and the log (spec/http-api.md §2.1):
/// the client's <c>X-Request-Id</c>, else the body's <c>request_id</c>, else 32 random hex digits.
/// </summary>
internal static class RequestId
{
    /// <summary>Gives every request an id and echoes it, also with errors.</summary>
    public static void UseRequestIds(this IApplicationBuilder app) => app.Use((HttpContext context, RequestDelegate next) =>
    {
        string? fromClient = context.Request.Headers[RoutingHeaders.RequestId];
        context.TraceIdentifier = IsPrintable(fromClient) ? fromClient! : Guid.NewGuid().ToString("N");
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[RoutingHeaders.RequestId] = context.TraceIdentifier;
            return Task.CompletedTask;
        });
        return next(context);
    });

    /// <summary>Takes the body's id unless the client sent the header.</summary>
    public static void Adopt(HttpContext context, string? fromBody)
    {
        if (fromBody is not null && !IsPrintable(context.Request.Headers[RoutingHeaders.RequestId]))
            context.TraceIdentifier = fromBody;
    }

    /// <summary>Whether a response header can carry it.</summary>
    public static bool IsPrintable(string? id) => id is { Length: > 0 and <= 256 } && id.All(c => c is >= ' ' and <= '~');
}
