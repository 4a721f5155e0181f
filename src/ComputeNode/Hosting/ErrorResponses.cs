using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Responses;
using Eigengate.Inference;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode.Hosting;

/// <summary>The one place where exceptions and unmatched routes become the error bodies of spec/http-api.md §3.</summary>
internal static class ErrorResponses
{
    private static readonly TimeSpan RetrySoon = TimeSpan.FromSeconds(1);

    public static void UseErrorResponses(this IApplicationBuilder app, ILogger logger) => app.Use(async (HttpContext context, RequestDelegate next) =>
    {
        try
        {
            await next(context);
            if (!context.Response.HasStarted)
                await DescribeUnmatchedAsync(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client left: nobody reads an answer.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            await ErrorOf(e, context, logger).WriteAsync(context.Response, context.RequestAborted);
        }
    });

    /// <summary>What a failed request is told. Unexpected exceptions are logged in full and answered without detail.</summary>
    public static ApiError ErrorOf(Exception exception, HttpContext context, ILogger logger)
    {
        switch (exception)
        {
            case ApiException refused:
                return refused.Error;
            case BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }:
                return ApiError.TooLarge("The request body is larger than this server accepts.");
            case BadHttpRequestException malformed:
                return ApiError.Schema(malformed.Message);
            case EngineOverloadedException:
                return ApiError.Overloaded("This node's queue is full; try again shortly.", RetrySoon);
            case IndexUnavailableException:
                logger.LogWarning(exception, "Request {RequestId}: the index does not answer", context.TraceIdentifier);
                return ApiError.Unavailable("The adapter index does not answer at the moment.", RetrySoon);
            default:
                logger.LogError(exception, "Request {RequestId} failed", context.TraceIdentifier);
                return ApiError.Internal("The request failed inside the server.");
        }
    }

    private static Task DescribeUnmatchedAsync(HttpContext context)
    {
        string path = context.Request.Path;
        switch (context.Response.StatusCode)
        {
            case StatusCodes.Status404NotFound when context.GetEndpoint() is null:
                ErrorBody body = ApiError.NotFound($"There is no {path} here.").Body;
                return context.Response.WriteAsJsonAsync(
                    new NotFoundBody(body.Error, "Not Found"), NodeJson.Wire.NotFoundBody, cancellationToken: context.RequestAborted);
            case StatusCodes.Status405MethodNotAllowed:
                var error = new ApiError(StatusCodes.Status405MethodNotAllowed, "BadRequestError", $"{path} does not take {context.Request.Method}.");
                return error.WriteAsync(context.Response, context.RequestAborted);
            default:
                return Task.CompletedTask;
        }
    }
}
