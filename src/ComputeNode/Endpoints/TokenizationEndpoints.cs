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

/// <summary>Text to token ids and back, as the served model does it (spec/http-api.md §12.1, §12.2).</summary>
internal static class TokenizationEndpoints
{
    public static void MapTokenization(this IEndpointRouteBuilder routes)
    {
        foreach (string root in (string[])["", "/v1"])
        {
            routes.MapPost($"{root}/tokenize", (RequestDelegate)TokenizeAsync);
            routes.MapPost($"{root}/detokenize", (RequestDelegate)DetokenizeAsync);
        }
    }

    /// <summary>Of a text or of a conversation. There is no length limit.</summary>
    private static async Task TokenizeAsync(HttpContext context)
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

        ServedModel model = await ModelOfAsync(context, body);
        int[] ids = model.Tokenizer.Encode(chat is null ? prompt! : model.Render(chat, context.RequestAborted), addSpecialTokens);
        var response = new TokenizeResponse(ids.Length, model.MaxModelLength, ids, returnTokens ? [.. ids.Select(model.Tokenizer.TokenText)] : null);
        await context.Response.WriteAsJsonAsync(response, NodeJson.Wire.TokenizeResponse, cancellationToken: context.RequestAborted);
    }

    /// <summary>The text of token ids, special tokens kept.</summary>
    private static async Task DetokenizeAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context.Request, context.RequestAborted);
        var body = new JsonFields(document.RootElement);
        IReadOnlyList<long> ids = body.Integers("tokens", minimum: 0)
            ?? throw new ApiException(ApiError.Schema("tokens: expected an array of integers, got nothing.", "tokens"));

        ServedModel model = await ModelOfAsync(context, body);
        if (ids.FirstOrDefault(id => id >= model.VocabularySize, -1) is >= 0 and var unknown)
            throw new ApiException(ApiError.BadRequest($"Token id {unknown} is out of vocabulary; ids are 0 to {model.VocabularySize - 1}.", "tokens"));
        string text = model.Tokenizer.Decode([.. ids.Select(id => (int)id)], skipSpecialTokens: false);
        await context.Response.WriteAsJsonAsync(new DetokenizeResponse(text), NodeJson.Wire.DetokenizeResponse, cancellationToken: context.RequestAborted);
    }

    /// <summary>Adapters share the base's tokenizer, but a name that nobody has is an error here too.</summary>
    private static async Task<ServedModel> ModelOfAsync(HttpContext context, JsonFields body)
    {
        await context.RequestServices.GetRequiredService<AdapterCatalog>().ResolveAsync(context.Request.Headers, body.Text("model"), context.RequestAborted);
        return context.RequestServices.GetRequiredService<ServedModel>();
    }
}
