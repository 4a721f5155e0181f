using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Eigengate.OpenAiApi;

/// <summary>The single error shape of the HTTP API (spec/http-api.md §3).</summary>
/// <param name="Status">HTTP status, also the <c>code</c> of the body.</param>
/// <param name="Type">One of the names of §3.2, e.g. <c>NotFoundError</c>.</param>
/// <param name="Message">Names the field, what was expected and what came; no paths, no stack traces.</param>
/// <param name="Param">The offending field as a dotted path, or null.</param>
/// <param name="RetryAfter">Sent with 429 and 503.</param>
public sealed record ApiError(int Status, string Type, string Message, string? Param = null, TimeSpan? RetryAfter = null)
{
    /// <summary>Unparsable JSON, wrong types, out of declared range.</summary>
    public static ApiError Schema(string message, string? param = null) => new(400, "Bad Request", message, param);

    /// <summary>Well-formed but not acceptable.</summary>
    public static ApiError BadRequest(string message, string? param = null) => new(400, "BadRequestError", message, param);

    public static ApiError UnknownModel(string model) => new(404, "NotFoundError", $"The model `{model}` does not exist.", "model");

    public static ApiError NotFound(string message, string? param = null) => new(404, "NotFoundError", message, param);

    public static ApiError Unauthorized(string message) => new(401, "AuthenticationError", message);

    public static ApiError TooLarge(string message) => new(413, "BadRequestError", message);

    public static ApiError Overloaded(string message, TimeSpan retryAfter) => new(429, "RateLimitError", message, null, retryAfter);

    /// <summary>A node did not answer in time.</summary>
    public static ApiError TimedOut(string message) => new(504, "InternalServerError", message);

    public static ApiError Internal(string message) => new(500, "InternalServerError", message);

    public static ApiError Unavailable(string message, TimeSpan retryAfter) => new(503, "ServiceUnavailableError", message, null, retryAfter);

    /// <summary>The response body: <c>{"error": {"message", "type", "param", "code"}}</c>.</summary>
    public ErrorBody Body => new(new ErrorDetail(Message, Type, Param, Status));

    /// <summary>Writes status, retry headers and body. The response must not have started.</summary>
    public async Task WriteAsync(HttpResponse response, CancellationToken cancel = default)
    {
        response.StatusCode = Status;
        if (Status == StatusCodes.Status401Unauthorized)
            response.Headers.WWWAuthenticate = "Bearer";
        if (RetryAfter is { } delay)
        {
            response.Headers.RetryAfter = Math.Max(1, Math.Ceiling(delay.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
            response.Headers["x-should-retry"] = "true";
            response.Headers["retry-after-ms"] = Math.Ceiling(delay.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        }

        await response.WriteAsJsonAsync(Body, ApiJson.Wire.ErrorBody, cancellationToken: cancel);
    }
}

public sealed record ErrorBody(ErrorDetail Error);

public sealed record ErrorDetail(string Message, string Type, string? Param, int Code);

/// <summary>Carries an <see cref="ApiError"/> out of request parsing; mapped to a response in one place.</summary>
public sealed class ApiException(ApiError error) : Exception(error.Message)
{
    public ApiError Error { get; } = error;
}
