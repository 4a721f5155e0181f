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

/// <summary><c>POST /detokenize</c>: the text of token ids, special tokens kept (spec/http-api.md §12.2).</summary>
internal static class DetokenizeEndpoint
{
    public static void MapDetokenize(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/detokenize", (RequestDelegate)HandleAsync);
        routes.MapPost("/v1/detokenize", (RequestDelegate)HandleAsync);
    }

    private static async Task HandleAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context.Request, context.RequestAborted);
        var body = new JsonFields(document.RootElement);
        IReadOnlyList<long> ids = body.Integers("tokens", minimum: 0)
            ?? throw new ApiException(ApiError.Schema("tokens: expected an array of integers, got nothing.", "tokens"));
        await context.RequestServices.GetRequiredService<AdapterCatalog>().ResolveAsync(context.Request.Headers, body.Text("model"), context.RequestAborted);

        ServedModel model = context.RequestServices.GetRequiredService<ServedModel>();
        if (ids.FirstOrDefault(id => id >= model.VocabularySize, -1) is >= 0 and var unknown)
            throw new ApiException(ApiError.BadRequest($"Token id {unknown} is out of vocabulary; ids are 0 to {model.VocabularySize - 1}.", "tokens"));
        string text = model.Tokenizer.Decode([.. ids.Select(id => (int)id)], skipSpecialTokens: false);
        await context.Response.WriteAsJsonAsync(new DetokenizeResponse(text), NodeJson.Wire.DetokenizeResponse, cancellationToken: context.RequestAborted);
    }
}
