using System.Runtime.InteropServices;
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
        Blocks = new KvBlockTable(
            pool, request.Adapter is { } adapter ? new PrefixRoot(adapter.Id, adapter.Version, adapter.Slot.Cluster?.Key) : PrefixRoot.BaseModel);
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

    /// <summary>The same; valid until the next token is appended.</summary>
    public ReadOnlySpan<int> TokenSpan => CollectionsMarshal.AsSpan(_tokens);

    /// <summary>Whose it is; requests without a caller are one caller's.</summary>
    public string Caller => Request.Caller ?? "";

    public int PromptLength => Request.PromptIds.Count;

    public int Generated => _tokens.Count - PromptLength;

    /// <summary>Leading tokens whose keys and values are in the cache.</summary>
    public int Computed { get; set; }

    /// <summary>Tokens the model has not seen yet: one while decoding, more during prefill or after preemption.</summary>
    public int Remaining => _tokens.Count - Computed;

    /// <summary>Leading tokens whose logits nobody needs: not those of the last, nor of a prompt token whose successor is still to be scored.</summary>
    public int Skippable => Scorer is { Done: false } scorer ? scorer.Scored : _tokens.Count - 1;

    /// <summary>Prompt tokens that were in the cache when it first began to run; null before, and without a prefix cache.</summary>
    public int? CachedPromptTokens { get; set; }

    public ResidentCluster? Cluster => Request.Adapter?.Slot.Cluster;

    /// <summary>What its adapter has beside the cluster's bases.</summary>
    public PrivateParts? PrivateParts => Request.Adapter?.Slot.Parts;

    /// <summary>The adapter's row in the slab, or −1 for the base model.</summary>
    public int AdapterSlot => Request.Adapter?.Slot.Index ?? -1;

    /// <summary>What it is charged to, from when it was queued to its end.</summary>
    public FairShare? Share { get; set; }

    /// <summary>Was scheduled at least once, so it no longer counts as queued.</summary>
    public bool Started { get; set; }

    /// <summary>Scores the prompt; null when nobody asked.</summary>
    public PromptScorer? Scorer { get; }

    public void Append(int tokenId) => _tokens.Add(tokenId);
}
