using Eigengate.AdapterCache;
using Eigengate.Inference;
using Eigengate.Inference.Sampling;
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
            ApiError error = ErrorOf(e, context, logger);
            // Not the message: it may quote the prompt.
            logger.LogInformation(
                "Request {RequestId}: {Path} answered {Status} {Type}, field {Param}", context.TraceIdentifier, context.Request.Path, error.Status, error.Type, error.Param ?? "none");
            await error.WriteAsync(context.Response, context.RequestAborted);
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
            case GenerationFailedException { InnerException: NoTokenPossibleException impossible }:
                return ApiError.BadRequest($"No text satisfies this request: {impossible.Message}.");
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
                return WriteAsync(ApiError.NotFound($"There is no {path} here."), "Not Found");
            case StatusCodes.Status405MethodNotAllowed:
                return WriteAsync(new ApiError(405, "BadRequestError", $"{path} does not take {context.Request.Method}."), "Method Not Allowed");
            default:
                return Task.CompletedTask;
        }

        Task WriteAsync(ApiError error, string detail) => context.Response.WriteAsJsonAsync(
            new UnmatchedBody(error.Body.Error, detail), ApiJson.Wire.UnmatchedBody, cancellationToken: context.RequestAborted);
    }
}
