using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Requests;
using Eigengate.Inference;

namespace Eigengate.ComputeNode;

/// <summary>Everything a compute node is told at start. Checked by <see cref="NodeHost"/> before anything is announced.</summary>
public sealed record NodeOptions
{
    /// <summary>
    /// Folder of the base model: config.json, safetensors, tokenizer, and the chat template if it has one. A template that
    /// cannot be parsed stops the start; a chat_template.jinja put beside it takes its place.
    /// </summary>
    public required string ModelDirectory { get; init; }

    /// <summary>Folder of the compressed bundle, or null when nothing is served compressed.</summary>
    public string? BundleDirectory { get; init; }

    /// <summary>Folder with one adapter folder each; those not in the bundle are served exactly. Null: none.</summary>
    public string? AdapterDirectory { get; init; }

    /// <summary>Serve every adapter of the adapter folder exactly, also those in the bundle, whose compressed form is left aside.</summary>
    public bool Exact { get; init; }

    /// <summary>
    /// An adapter to add to the weights: a folder, or an id in the adapter folder or the bundle. The node then serves this one alone, under
    /// its id. Null: none.
    /// </summary>
    public string? MergedAdapter { get; init; }

    /// <summary>Memory for weights of adapters that are not on the device, in bytes; what it does not hold is fetched from the index again.</summary>
    public long HostCacheBytes { get; init; } = 1L << 30;

    /// <summary>Clusters of the bundle to hold; null holds all of them.</summary>
    public IReadOnlyList<int>? Clusters { get; init; }

    /// <summary>The shared index: <c>host:port</c> of a Redis or Garnet server, or a StackExchange.Redis configuration string.</summary>
    public required string Index { get; init; }

    /// <summary>Name space of the deployment's keys in the index.</summary>
    public string KeyPrefix { get; init; } = AdapterIndex.DefaultKeyPrefix;

    /// <summary>Where to listen, separated by semicolons; port 0 takes a free one.</summary>
    public string Urls { get; init; } = "http://127.0.0.1:8001";

    /// <summary>Address under which the gateway reaches this node; null: the first listening address.</summary>
    public string? AdvertisedUrl { get; init; }

    /// <summary>Device, number type, context length and memory of the engine.</summary>
    public EngineOptions Engine { get; init; } = new();

    /// <summary>Public names of the base model, the first one in responses; null: the name of its folder, or of the adapter that is merged into it.</summary>
    public IReadOnlyList<string>? ServedModelNames { get; init; }

    /// <summary>Usage says how many prompt tokens came from the prefix cache: <c>prompt_tokens_details.cached_tokens</c> (spec/http-api.md §5.3).</summary>
    public bool PromptTokensDetails { get; init; }

    /// <summary>How long fetching an adapter and waiting for a free slot may take together.</summary>
    public TimeSpan AdapterLoadTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public RequestLimits Limits { get; init; } = new();

    /// <summary>How long the node still looks alive after it died without notice.</summary>
    public TimeSpan Lease { get; init; } = NodeLease.DefaultDuration;

    /// <summary>How long running requests may go on after shutdown began.</summary>
    public TimeSpan DrainPeriod { get; init; } = TimeSpan.FromSeconds(20);

    /// <exception cref="NodeStartException">Names every option that is out of range.</exception>
    internal void Validate()
    {
        List<string> faults = [];
        Require(Directory.Exists(ModelDirectory), $"the model folder '{ModelDirectory}' does not exist");
        Require(!string.IsNullOrWhiteSpace(Index), "the index must be named as host:port");
        Require(!string.IsNullOrWhiteSpace(Urls), "an address to listen on is needed, such as http://127.0.0.1:8001");
        Require(AdvertisedUrl is null || Uri.TryCreate(AdvertisedUrl, UriKind.Absolute, out _), $"the advertised URL '{AdvertisedUrl}' is not absolute");
        Require(!Exact || AdapterDirectory is not null, "serving all adapters uncompressed needs the folder of adapters: a bundle has only their compressed form");
        Require(!Exact || MergedAdapter is null, "one merged adapter and all adapters uncompressed exclude each other");
        Require(MergedAdapter is null || MergedAdapter.Length > 0, "the adapter to merge must have a name");
        Require(HostCacheBytes >= 0, "the host cache of adapters must not be negative");
        Require(ServedModelNames is null || (ServedModelNames.Count > 0 && !ServedModelNames.Any(string.IsNullOrWhiteSpace)), "served model names must not be empty");
        Require(Lease > TimeSpan.Zero && AdapterLoadTimeout > TimeSpan.Zero && DrainPeriod >= TimeSpan.Zero, "lease, adapter load timeout and drain period must be positive");
        Require(
            Limits is { MaxChoices: > 0, MaxPrompts: > 0, MaxLogprobs: >= 0, MaxStopStrings: >= 0, MaxBadWords: >= 0, MaxBodyBytes: > 0 },
            "limits of choices, prompts and body must be positive, the others not negative");
        if (faults.Count > 0)
            throw new NodeStartException($"The node cannot start: {string.Join("; ", faults)}.");

        void Require(bool holds, string fault)
        {
            if (!holds)
                faults.Add(fault);
        }
    }
}
