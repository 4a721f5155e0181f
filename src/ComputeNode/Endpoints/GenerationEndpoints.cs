using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>POST /v1/completions</c> (spec/http-api.md §5) and <c>POST /v1/chat/completions</c> (§6).</summary>
internal static class GenerationEndpoints
{
    public static void MapGeneration(this IEndpointRouteBuilder routes)
    {
        var handler = routes.ServiceProvider.GetRequiredService<GenerationHandler>();
        var model = routes.ServiceProvider.GetRequiredService<ServedModel>();
        routes.MapPost("/v1/completions", (RequestDelegate)(context => handler.HandleAsync(
            context, CompletionRequest.Read, (plan, header) => new CompletionFormat(plan, header, model.Tokenizer))));
        routes.MapPost("/v1/chat/completions", (RequestDelegate)(context => handler.HandleAsync(
            context, ChatRequest.Read, (plan, header) => new ChatFormat(plan, header, model.Tokenizer))));
    }
}
