using Eigengate.ComputeNode.Requests;
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

    /// <summary>Takes the body's <c>request_id</c> unless the client sent the header.</summary>
    /// <exception cref="ApiException">It is no string that a response header can carry.</exception>
    public static void Adopt(HttpContext context, JsonFields body)
    {
        if (body.Text("request_id") is not { } id)
            return;
        if (!IsPrintable(id))
            throw new ApiException(ApiError.BadRequest("request_id must be 1 to 256 printable ASCII characters.", "request_id"));
        if (!IsPrintable(context.Request.Headers[RoutingHeaders.RequestId]))
            context.TraceIdentifier = id;
    }

    private static bool IsPrintable(string? id) => id is { Length: > 0 and <= 256 } && id.All(c => c is >= ' ' and <= '~');
}
