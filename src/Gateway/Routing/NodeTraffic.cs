using System.Collections.Concurrent;

namespace Eigengate.Gateway.Routing;

/// <summary>
/// Requests in flight and recent failures of each node. Kept here by node id because the proxy keeps its own counts per
/// proxy cluster, and a node is in many.
/// </summary>
internal sealed class NodeTraffic(TimeProvider time)
{
    /// <summary>How long a node that failed is chosen only when no other is left; about as long as a dead node keeps its lease.</summary>
    private static readonly TimeSpan SuspicionTime = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Counts> _nodes = new(StringComparer.Ordinal);

    public int InFlight(string node) => _nodes.TryGetValue(node, out var counts) ? Volatile.Read(ref counts.InFlight) : 0;

    public bool IsSuspect(string node) =>
        _nodes.TryGetValue(node, out var counts)
        && Volatile.Read(ref counts.FailedAt) is > 0 and var failedAt
        && time.GetElapsedTime(failedAt) < SuspicionTime;

    public void Enter(string node) => Interlocked.Increment(ref Of(node).InFlight);

    public void Leave(string node) => Interlocked.Decrement(ref Of(node).InFlight);

    public void Failed(string node) => Volatile.Write(ref Of(node).FailedAt, time.GetTimestamp());

    public void Answered(string node)
    {
        if (_nodes.TryGetValue(node, out var counts))
            Volatile.Write(ref counts.FailedAt, 0);
    }

    /// <summary>Forgets all other nodes that have nothing in flight.</summary>
    public void Keep(IEnumerable<string> nodes)
    {
        var kept = nodes.ToHashSet(StringComparer.Ordinal);
        foreach (var (node, counts) in _nodes)
        {
            if (!kept.Contains(node) && Volatile.Read(ref counts.InFlight) == 0)
                _nodes.TryRemove(node, out _);
        }
    }

    private Counts Of(string node) => _nodes.GetOrAdd(node, _ => new Counts());

    private sealed class Counts
    {
        public int InFlight;
        public long FailedAt;
    }
}
