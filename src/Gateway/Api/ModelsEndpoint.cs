using Eigengate.AdapterCache;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Eigengate.Gateway.Api;

/// <summary>Model cards (§10). Every replica of the gateway answers the same, because all of it comes from the index.</summary>
internal static class ModelsEndpoint
{
    public static Task ListAsync(HttpContext context)
    {
        var snapshot = context.RequestServices.GetRequiredService<GatewayIndex>().Snapshot;
        var ownedBy = context.RequestServices.GetRequiredService<GatewayOptions>().OwnedBy;
        List<ModelCard> cards = [];
        if (snapshot.Base is { } baseModel)
            cards.Add(Card(baseModel, ownedBy));
        cards.AddRange(snapshot.Adapters.Where(IsServable).Select(adapter => Card(adapter, snapshot.Base, ownedBy)));
        return context.Response.WriteAsJsonAsync(new ModelList(cards), ApiJson.Wire.ModelList, cancellationToken: context.RequestAborted);
    }

    public static async Task GetAsync(HttpContext context)
    {
        // A slash that the client encoded stays encoded in the path.
        var id = ((string?)context.GetRouteValue("id") ?? "").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        var index = context.RequestServices.GetRequiredService<GatewayIndex>();
        var ownedBy = context.RequestServices.GetRequiredService<GatewayOptions>().OwnedBy;
        var snapshot = index.Snapshot;
        var card = snapshot.Base is { } baseModel && baseModel.Name == id ? Card(baseModel, ownedBy)
            : await index.FindAsync(id, context.RequestAborted) is { } adapter && IsServable(adapter) ? Card(adapter, snapshot.Base, ownedBy)
            : throw new ApiException(ApiError.UnknownModel(id));
        await context.Response.WriteAsJsonAsync(card, ApiJson.Wire.ModelCard, cancellationToken: context.RequestAborted);
    }

    private static bool IsServable(AdapterRecord adapter) => adapter.Status == AdapterStatus.Ready;

    private static ModelCard Card(BaseRecord baseModel, string ownedBy) =>
        new(baseModel.Name, baseModel.Created, ownedBy, baseModel.Root, Parent: null, baseModel.MaxModelLength);

    private static ModelCard Card(AdapterRecord adapter, BaseRecord? baseModel, string ownedBy) =>
        new(adapter.Id, adapter.Created.ToUnixTimeSeconds(), ownedBy, adapter.Root, baseModel?.Name ?? "", MaxModelLen: null);
}
