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

/// <summary><c>POST /tokenize</c>, of a text or of a conversation (spec/http-api.md §12.1). There is no length limit.</summary>
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
        ChatPrompt? chat = body.Has("messages") ? ChatPrompt.Read(body) : null;
        string? prompt = body.Text("prompt");
        if (chat is null && prompt is null)
            throw new ApiException(ApiError.Schema("prompt: expected a string, got nothing.", "prompt"));
        // Templates write the begin token themselves.
        bool addSpecialTokens = body.Flag("add_special_tokens") ?? chat is null;
        bool returnTokens = body.Flag("return_token_strs") ?? false;
        await context.RequestServices.GetRequiredService<AdapterCatalog>().ResolveAsync(context.Request.Headers, body.Text("model"), context.RequestAborted);

        ServedModel model = context.RequestServices.GetRequiredService<ServedModel>();
        int[] ids = model.Tokenizer.Encode(chat is null ? prompt! : model.Render(chat, context.RequestAborted), addSpecialTokens);
        var response = new TokenizeResponse(ids.Length, model.MaxModelLength, ids, returnTokens ? [.. ids.Select(model.Tokenizer.TokenText)] : null);
        await context.Response.WriteAsJsonAsync(response, NodeJson.Wire.TokenizeResponse, cancellationToken: context.RequestAborted);
    }
}
