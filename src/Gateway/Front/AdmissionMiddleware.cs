using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Front;

internal sealed class AdmissionMiddleware(RequestDelegate next, Admission admission, GatewayOptions options)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var caller = Caller.Of(context, options);
        if (!admission.TryEnter(caller))
        {
            await ApiError
                .Overloaded($"Of the {options.MaxInFlightRequests} requests that may be in flight, none is left for this caller.", options.RetryAfter)
                .WriteAsync(context.Response, context.RequestAborted);
            return;
        }

        try
        {
            await next(context);
        }
        finally
        {
            admission.Leave(caller);
        }
    }
}
