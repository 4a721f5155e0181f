using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Front;

/// <summary>Answers 401 to requests without a valid key.</summary>
internal sealed class ApiKeyMiddleware(RequestDelegate next, ApiKeyGuard guard)
{
    public static readonly ApiError Refusal = ApiError.Unauthorized("A valid API key is required: send it as Authorization: Bearer.");

    public Task InvokeAsync(HttpContext context) =>
        guard.Admits(context.Request) ? next(context) : Refusal.WriteAsync(context.Response, context.RequestAborted);
}
