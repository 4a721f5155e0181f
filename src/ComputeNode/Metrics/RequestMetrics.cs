using System.Collections.Concurrent;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Responses;
using Eigengate.Inference.Metrics;

namespace Eigengate.ComputeNode.Metrics;

/// <summary>What only the HTTP side of the node knows of requests; the rest is in <see cref="EngineMetrics"/>. Thread-safe.</summary>
internal sealed class RequestMetrics(ServedModel model)
{
    private readonly ConcurrentDictionary<AdapterWait, byte> _waits = new();

    /// <summary>Choices asked for, one observation per prompt.</summary>
    public Histogram Choices { get; } = new(Buckets.Choices);

    /// <summary>Tokens of the longest choice of each prompt.</summary>
    public Histogram LongestChoice { get; } = new(Buckets.Tokens(model.MaxModelLength));

    /// <summary>Sequences whose adapter is not on the device yet, by adapter id.</summary>
    public IEnumerable<(string Adapter, int Sequences)> Deferred => _waits.Keys.Select(wait => (wait.Adapter, wait.Sequences));

    /// <summary>Counts sequences as deferred until the result is disposed.</summary>
    public IDisposable AwaitAdapter(string adapter, int sequences)
    {
        var wait = new AdapterWait(this, adapter, sequences);
        _waits.TryAdd(wait, 0);
        return wait;
    }

    /// <summary>A request was answered, or its client left.</summary>
    public void Ended(GenerationPlan plan, GenerationAnswer answer)
    {
        foreach (int[] choices in answer.TokensByChoice.Chunk(plan.Fields.N))
        {
            Choices.Observe(choices.Length);
            LongestChoice.Observe(choices.Max());
        }
    }

    private sealed class AdapterWait(RequestMetrics metrics, string adapter, int sequences) : IDisposable
    {
        public string Adapter => adapter;

        public int Sequences => sequences;

        public void Dispose() => metrics._waits.TryRemove(this, out _);
    }
}
