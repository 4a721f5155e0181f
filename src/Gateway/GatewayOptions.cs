using Eigengate.AdapterCache;

namespace Eigengate.Gateway;

/// <summary>Every knob of the gateway; checked once at start.</summary>
public sealed record GatewayOptions
{
    /// <summary>Server of the index: <c>host:port</c> or a StackExchange.Redis configuration string.</summary>
    public required string Index { get; init; }

    /// <summary>Key prefix of the index.</summary>
    public string KeyPrefix { get; init; } = AdapterIndex.DefaultKeyPrefix;

    /// <summary>Keys that clients may present as <c>Authorization: Bearer</c>. Empty: everybody may come in.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary><c>owned_by</c> of the model cards.</summary>
    public string OwnedBy { get; init; } = "vllm";

    /// <summary>Largest request body in bytes; above it 413.</summary>
    public int MaxBodyBytes { get; init; } = 32 << 20;

    /// <summary>Bytes of request bodies held at once; above it 429.</summary>
    public long MaxBufferedBytes { get; init; } = 1L << 30;

    /// <summary>Generation requests in flight at once; above it 429.</summary>
    public int MaxInFlightRequests { get; init; } = 1024;

    /// <summary>Longest silence of a node, before its first byte or within a stream. Longer than the slowest non-streaming answer.</summary>
    public TimeSpan ActivityTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long to wait for a connection to a node before another is tried.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>What 429 and 503 tell clients to wait.</summary>
    public TimeSpan RetryAfter { get; init; } = TimeSpan.FromSeconds(1);

    /// <exception cref="ArgumentException">Names every option that is out of range.</exception>
    internal void Validate()
    {
        List<string> faults = [];
        if (string.IsNullOrWhiteSpace(Index))
            faults.Add($"{nameof(Index)} must name a server");
        if (ApiKeys.Any(string.IsNullOrWhiteSpace))
            faults.Add($"{nameof(ApiKeys)} must not contain an empty key");
        Positive(MaxBodyBytes, nameof(MaxBodyBytes));
        Positive(MaxBufferedBytes, nameof(MaxBufferedBytes));
        Positive(MaxInFlightRequests, nameof(MaxInFlightRequests));
        Positive(ActivityTimeout.Ticks, nameof(ActivityTimeout));
        Positive(ConnectTimeout.Ticks, nameof(ConnectTimeout));
        Positive(RetryAfter.Ticks, nameof(RetryAfter));
        if (faults.Count > 0)
            throw new ArgumentException("The gateway cannot start: " + string.Join("; ", faults) + ".");

        void Positive(long value, string name)
        {
            if (value <= 0)
                faults.Add($"{name} must be positive");
        }
    }
}
