using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Front;

internal sealed class AdmissionMiddleware(RequestDelegate next, Admission admission, GatewayOptions options)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (!admission.TryEnter())
        {
            await ApiError
                .Overloaded($"The gateway already has {options.MaxInFlightRequests} requests in flight.", options.RetryAfter)
                .WriteAsync(context.Response, context.RequestAborted);
            return;
        }

        try
        {
            await next(context);
        }
        finally
        {
            admission.Leave();
        }
    }
}
