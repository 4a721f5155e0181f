namespace Eigengate.Inference.KvCache;

/// <summary>
/// What a cached prefix was computed with besides its tokens (spec/http-api.md §4): one version of one adapter as served, or the base
/// alone. Keys and values are never shared across roots.
/// </summary>
internal sealed record PrefixRoot(string? AdapterId, string? Version, string? Cluster)
{
    public static PrefixRoot BaseModel { get; } = new(null, null, null);
}
