using Eigengate.AdapterCache;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Eigengate.Gateway.Front;

/// <summary>Turns whatever went wrong into the error shape of §3, as long as the response has not started.</summary>
internal sealed class ErrorBoundary(RequestDelegate next, GatewayOptions options, ILogger<ErrorBoundary> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        ApiError error;
        try
        {
            await next(context);
            return;
        }
        catch (Exception) when (context.Response.HasStarted || context.RequestAborted.IsCancellationRequested)
        {
            context.Abort();
            return;
        }
        catch (ApiException e)
        {
            error = e.Error;
        }
        catch (BadHttpRequestException e)
        {
            error = new ApiError(e.StatusCode, e.StatusCode == StatusCodes.Status413PayloadTooLarge ? "BadRequestError" : "Bad Request", e.Message);
        }
        catch (IndexUnavailableException e)
        {
            logger.LogError(e, "Request {RequestId} needs the index, which is away", context.Request.Headers[RoutingHeaders.RequestId].ToString());
            error = ApiError.Unavailable("The adapter index is not available.", options.RetryAfter);
        }
        catch (Exception e)
        {
            logger.LogError(e, "Request {RequestId} failed", context.Request.Headers[RoutingHeaders.RequestId].ToString());
            error = ApiError.Internal("The gateway failed to handle the request.");
        }

        context.Response.Clear();
        await error.WriteAsync(context.Response, context.RequestAborted);
    }
}
