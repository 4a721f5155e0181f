using System.Text.Json.Serialization;

namespace Eigengate.OpenAiApi;

/// <summary>An entry of <c>GET /v1/models</c> (spec/http-api.md §10).</summary>
/// <param name="Id">Public name.</param>
/// <param name="Created">Unix seconds; registration time for adapters.</param>
/// <param name="OwnedBy">Configurable, <c>vllm</c> by default because clients look for it.</param>
/// <param name="Root">Where the weights came from.</param>
/// <param name="Parent">The base model's name for an adapter, null for a base.</param>
/// <param name="MaxModelLen">Context length of a base; null for an adapter.</param>
public sealed record ModelCard(string Id, long Created, string OwnedBy, string Root, string? Parent, int? MaxModelLen)
{
    public string Object => "model";

    public IReadOnlyList<ModelPermission> Permission => [new ModelPermission($"modelperm-{Id}", Created)];
}

public sealed record ModelPermission(string Id, long Created)
{
    public string Object => "model_permission";

    public bool AllowCreateEngine => false;

    public bool AllowSampling => true;

    public bool AllowLogprobs => true;

    public bool AllowSearchIndices => false;

    public bool AllowView => true;

    public bool AllowFineTuning => false;

    public string Organization => "*";

    public string? Group => null;

    public bool IsBlocking => false;
}

public sealed record ModelList(IReadOnlyList<ModelCard> Data)
{
    [JsonPropertyOrder(-1)]
    public string Object => "list";
}
