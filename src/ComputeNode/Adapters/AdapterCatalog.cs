using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Generation;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>One version of an adapter: what it answers stays the same however often the name is registered anew.</summary>
internal sealed record PinnedAdapter(string Id, string Version);

/// <summary>Which model a name means on this node (spec/http-api.md §4), and what the node lists.</summary>
/// <param name="model">The base.</param>
/// <param name="index">All registered adapters.</param>
/// <param name="node">What this node holds.</param>
internal sealed class AdapterCatalog(ServedModel model, IndexFollower index, NodeRecord node)
{
    private const string Owner = "vllm";

    private static readonly TimeSpan RetryElsewhere = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The adapter version a request gets, pinned from here to its end; null is the base. What the gateway has pinned
    /// counts before the body's name.
    /// </summary>
    /// <exception cref="ApiException">404 unknown, 400 cannot be served at all, 503 served by other nodes only.</exception>
    public async ValueTask<PinnedAdapter?> ResolveAsync(IHeaderDictionary headers, string? name, CancellationToken cancel)
    {
        if (headers[RoutingHeaders.Adapter] is [{ } pinned] && headers[RoutingHeaders.AdapterVersion] is [{ } version])
            return new PinnedAdapter(Uri.UnescapeDataString(pinned), version);
        if (string.IsNullOrEmpty(name) || model.Names.Contains(name))
            return null;
        AdapterRecord adapter = await index.FindAsync(name, cancel) ?? throw new ApiException(ApiError.UnknownModel(name));
        if (adapter.Status == AdapterStatus.Failed)
            throw new ApiException(ApiError.BadRequest($"The adapter `{name}` cannot be served: {adapter.Failure ?? "its registration failed"}.", "model"));
        if (!node.CanServe(adapter))
            throw new ApiException(Elsewhere(name));
        return new PinnedAdapter(adapter.Id, adapter.Version);
    }

    /// <summary>Base names first, then the adapters this node can serve, in registration order.</summary>
    public IEnumerable<ModelCard> List() =>
        model.Names.Select(BaseCard).Concat(index.Current.Adapters.Where(IsServed).Select(Card));

    /// <exception cref="ApiException">404 for a name that is not in the list.</exception>
    public async ValueTask<ModelCard> GetAsync(string name, CancellationToken cancel)
    {
        if (model.Names.Contains(name))
            return BaseCard(name);
        AdapterRecord? adapter = await index.FindAsync(name, cancel);
        return adapter is not null && IsServed(adapter) ? Card(adapter) : throw new ApiException(ApiError.UnknownModel(name));
    }

    /// <summary>Another node may have the basis: a gateway tries one.</summary>
    public static ApiError Elsewhere(string adapter) => ApiError.Unavailable($"The adapter `{adapter}` is served by other nodes, not by this one.", RetryElsewhere);

    private bool IsServed(AdapterRecord adapter) => adapter.Status == AdapterStatus.Ready && node.CanServe(adapter);

    private ModelCard BaseCard(string name) => new(name, model.Created, Owner, model.Root, null, model.MaxModelLength);

    private ModelCard Card(AdapterRecord adapter) =>
        new(adapter.Id, adapter.Created.ToUnixTimeSeconds(), Owner, adapter.Root, model.Name, null);
}
