using Eigengate.Gateway.Front;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.Gateway.Api;

/// <summary>Fills the body of 404 and 405 that routing answered: no such path, no such method (§1).</summary>
internal static class UnmatchedRequest
{
    public static async Task AnswerAsync(StatusCodeContext context)
    {
        var http = context.HttpContext;
        var error = http.Response.StatusCode switch
        {
            StatusCodes.Status404NotFound => ApiError.NotFound($"There is no {http.Request.Path} here."),
            StatusCodes.Status405MethodNotAllowed => new ApiError(
                StatusCodes.Status405MethodNotAllowed, "BadRequestError", $"{http.Request.Path} does not take {http.Request.Method}."),
            _ => null,
        };
        if (error is null)
            return;
        if (!http.RequestServices.GetRequiredService<ApiKeyGuard>().Admits(http.Request))
        {
            http.Response.Headers.Allow = default;
            await ApiKeyMiddleware.Refusal.WriteAsync(http.Response, http.RequestAborted);
            return;
        }

        var detail = error.Status == StatusCodes.Status404NotFound ? "Not Found" : "Method Not Allowed";
        await http.Response.WriteAsJsonAsync(
            new UnmatchedBody(error.Body.Error, detail), ApiJson.Wire.UnmatchedBody, cancellationToken: http.RequestAborted);
    }
}
