using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Eigengate.Gateway.Routing;

/// <summary>
/// Reads the whole request body into memory. A node cannot start before it has all of it either, and a body in memory can be
/// sent to a second node when the first one dies, also over HTTP/2, where unread bytes would close the flow-control window.
/// </summary>
internal sealed class BodyBuffering(RequestDelegate next, GatewayOptions options, BodyBudget budget)
{
    private const int FirstBuffer = 4096;

    public async Task InvokeAsync(HttpContext context)
    {
        RequireJson(context.Request);
        if (context.Request.ContentLength > options.MaxBodyBytes)
            throw TooLarge();
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } serverLimit)
            serverLimit.MaxRequestBodySize = null;

        var held = 0;
        try
        {
            var buffer = Array.Empty<byte>();
            var length = 0;
            int read;
            do
            {
                if (length == buffer.Length)
                {
                    var size = NextSize(buffer.Length, context.Request.ContentLength);
                    Take(size - held);
                    Array.Resize(ref buffer, size);
                }

                read = await context.Request.Body.ReadAsync(buffer.AsMemory(length), context.RequestAborted);
                length += read;
                if (length > options.MaxBodyBytes)
                    throw TooLarge();
            }
            while (read > 0);

            context.Features.Set(new RoutedRequest(buffer.AsMemory(0, length)));
            await next(context);
        }
        finally
        {
            budget.Return(held);
        }

        void Take(int bytes)
        {
            if (!budget.TryTake(bytes))
                throw new ApiException(ApiError.Overloaded("The gateway holds too many request bodies.", options.RetryAfter));
            held += bytes;
        }
    }

    /// <summary>Grows with what really arrives: a client cannot make the gateway allocate by announcing a length.</summary>
    private int NextSize(int size, long? announced)
    {
        // One byte more than may come, so that the read that finds the end, or one byte too many, has room.
        var most = (int)Math.Min(announced ?? options.MaxBodyBytes, options.MaxBodyBytes) + 1;
        return Math.Max(size + 1, (int)Math.Min(Math.Max(2L * size, FirstBuffer), most));
    }

    private ApiException TooLarge() => new(ApiError.TooLarge($"The request body is larger than {options.MaxBodyBytes} bytes."));

    private static void RequireJson(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase))
            throw new ApiException(ApiError.Schema("The Content-Type of the request must be application/json."));
    }
}
