using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>POST /v1/chat/completions</c> (spec/http-api.md §6).</summary>
internal static class ChatEndpoint
{
    public static void MapChat(this IEndpointRouteBuilder routes)
    {
        var handler = routes.ServiceProvider.GetRequiredService<GenerationHandler>();
        var model = routes.ServiceProvider.GetRequiredService<ServedModel>();
        routes.MapPost("/v1/chat/completions", (RequestDelegate)(context => handler.HandleAsync(
            context, ChatRequest.Read, (plan, header) => new ChatFormat(plan, header, model.Tokenizer))));
    }
}
