using System.Threading.Channels;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Metrics;
using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Scheduling;

/// <summary>Preemption moves a running sequence back to waiting; everything ends in finished.</summary>
internal enum SequenceStatus
{
    Waiting,
    Running,
    Finished,
}

/// <summary>One prompt being continued, from admission to its end. Touched by the engine thread only, except <see cref="Events"/>.</summary>
internal sealed class Sequence
{
    /// <summary>Kept by <see cref="EngineMetrics"/>.</summary>
    public SequenceTimes Times;

    private readonly List<int> _tokens;

    public Sequence(GenerationRequest request, KvBlockPool pool, ChannelWriter<GenerationEvent> events, TokenSampler sampler, OutputText output)
    {
        Request = request;
        Events = events;
        Sampler = sampler;
        Output = output;
        Blocks = new KvBlockTable(pool);
        Scorer = request.Sampling.PromptLogprobs is { } top ? new PromptScorer(request.PromptIds, top) : null;
        _tokens = [.. request.PromptIds];
    }

    public GenerationRequest Request { get; }

    public ChannelWriter<GenerationEvent> Events { get; }

    public TokenSampler Sampler { get; }

    public OutputText Output { get; }

    public KvBlockTable Blocks { get; }

    public SequenceStatus Status { get; set; }

    /// <summary>Prompt and output so far.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    public int PromptLength => Request.PromptIds.Count;

    public int Generated => _tokens.Count - PromptLength;

    /// <summary>Leading tokens whose keys and values are in the cache.</summary>
    public int Computed { get; set; }

    /// <summary>Tokens the model has not seen yet: one while decoding, more during prefill or after preemption.</summary>
    public int Remaining => _tokens.Count - Computed;

    public ResidentCluster? Cluster => Request.Adapter?.Slot.Cluster;

    /// <summary>What its adapter adds beside the cluster's bases.</summary>
    public ResidentCluster? Residual => Request.Adapter?.Slot.Residual;

    /// <summary>The adapter's row in the slab, or −1 for the base model.</summary>
    public int AdapterSlot => Request.Adapter?.Slot.Index ?? -1;

    /// <summary>Was scheduled at least once, so it no longer counts as queued.</summary>
    public bool Started { get; set; }

    /// <summary>Scores the prompt; null when nobody asked.</summary>
    public PromptScorer? Scorer { get; }

    public void Append(int tokenId) => _tokens.Add(tokenId);
}
