using System.Text.Json;
using Eigengate.ComputeNode.Adapters;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Responses;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>POST /tokenize</c>, text form (spec/http-api.md §12.1). There is no length limit.</summary>
internal static class TokenizeEndpoint
{
    public static void MapTokenize(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/tokenize", (RequestDelegate)HandleAsync);
        routes.MapPost("/v1/tokenize", (RequestDelegate)HandleAsync);
    }

    private static async Task HandleAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context.Request, context.RequestAborted);
        var body = new JsonFields(document.RootElement);
        if (body.Has("messages"))
            throw new ApiException(ApiError.BadRequest("This server does not offer chat templates yet; send 'prompt'.", "messages"));
        string prompt = body.Text("prompt") ?? throw new ApiException(ApiError.Schema("prompt: expected a string, got nothing.", "prompt"));
        bool addSpecialTokens = body.Flag("add_special_tokens") ?? true;
        bool returnTokens = body.Flag("return_token_strs") ?? false;
        await context.RequestServices.GetRequiredService<AdapterCatalog>().ResolveAsync(context.Request.Headers, body.Text("model"), context.RequestAborted);

        ServedModel model = context.RequestServices.GetRequiredService<ServedModel>();
        int[] ids = model.Tokenizer.Encode(prompt, addSpecialTokens);
        var response = new TokenizeResponse(ids.Length, model.MaxModelLength, ids, returnTokens ? [.. ids.Select(model.Tokenizer.TokenText)] : null);
        await context.Response.WriteAsJsonAsync(response, NodeJson.Wire.TokenizeResponse, cancellationToken: context.RequestAborted);
    }
}
