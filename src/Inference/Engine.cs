using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading.Channels;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Metrics;
using Eigengate.Inference.Models;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Scheduling;
using Eigengate.Inference.Tokenization;
using TorchSharp;

namespace Eigengate.Inference;

/// <summary>
/// One base model, its KV cache and its adapters. <see cref="Step"/> belongs to one thread; submitting, aborting and
/// everything about adapters may come from any.
/// </summary>
public sealed class Engine : IDisposable
{
    private readonly EngineParts _parts;
    private readonly Scheduler _scheduler;
    private readonly KvBlockPool _pool;
    private readonly StepInput _input;
    private readonly WaitingRoom _room;
    private readonly ConcurrentQueue<Sequence> _inbox = new();
    private readonly ConcurrentQueue<Sequence> _aborts = new();
    private readonly List<ScheduledSequence> _batch = [];
    private readonly HeldLogits _held = new();
    private long _steps;
    private long _promptTokens;
    private long _generatedTokens;

    internal Engine(EngineParts parts)
    {
        _parts = parts;
        Options = parts.Options;
        _pool = new KvBlockPool(parts.KvBlocks, Options.BlockSize, Options.PrefixCache ? new PrefixIndex(parts.KvBlocks, Options.BlockSize) : null);
        _scheduler = new Scheduler(_pool, Options.MaxSequences, Options.MaxBatchedTokens, Config.Windows.Max());
        _input = new StepInput(Options.MaxBatchedTokens);
        _room = new WaitingRoom(Options.MaxWaiting);
        MaxModelLength = Math.Min(parts.MaxModelLength, parts.KvBlocks * Options.BlockSize);
        Metrics = new EngineMetrics(MaxModelLength);
    }

    public EngineOptions Options { get; }

    public Tokenizer Tokenizer => _parts.Tokenizer;

    public ModelConfig Config => _parts.Model.Config;

    /// <summary>Most tokens of prompt and output together.</summary>
    public int MaxModelLength { get; }

    /// <summary>Times and ends of the sequences since load.</summary>
    public EngineMetrics Metrics { get; private set; }

    /// <summary>Readable from any thread; exact between steps.</summary>
    public EngineStats Stats => new(
        _scheduler.Running.Count, _scheduler.Waiting.Count + _inbox.Count, _pool.Used, _pool.Count, Adapters.SlotsUsed, Adapters.Slots,
        Volatile.Read(ref _steps), Volatile.Read(ref _promptTokens), Volatile.Read(ref _generatedTokens), _scheduler.Preemptions,
        _scheduler.PrefixQueries, _scheduler.PrefixHits);

    /// <summary>The adapters on the device. Readable from any thread.</summary>
    public AdapterStats Adapters => _parts.Slots.Stats;

    /// <summary>Id of the adapter that is part of the weights, or null.</summary>
    public string? MergedAdapter { get; private init; }

    /// <summary>Loads a Hugging Face model directory and warms the kernels up.</summary>
    /// <param name="merged">An adapter without cores to add to the weights, W + s·B·A: as fast as the base alone, but no other adapter can be served.</param>
    /// <exception cref="InvalidModelException">The model cannot be served; the message says why.</exception>
    /// <exception cref="InvalidAdapterException">The adapter to merge does not fit the model.</exception>
    /// <exception cref="Safetensors.SafetensorsException">A weight file is truncated or malformed.</exception>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="NotSupportedException">The device is not available.</exception>
    public static Engine Load(string modelDirectory, EngineOptions options, AdapterWeights? merged = null)
    {
        var engine = new Engine(EngineParts.Load(modelDirectory, options, merged)) { MergedAdapter = merged?.Id };
        engine.WarmUp();
        return engine;
    }

    /// <summary>Puts a cluster's shared bases on the device; names are module paths such as model.layers.0.self_attn.q_proj.</summary>
    /// <exception cref="InvalidAdapterException">A basis does not fit the base model, or the key is taken.</exception>
    public void AddCluster(string clusterKey, IReadOnlyDictionary<string, ClusterBasis> basisByModule) =>
        _parts.Bases.Add(clusterKey, basisByModule);

    public bool HasCluster(string clusterKey) => _parts.Bases.Contains(clusterKey);

    /// <summary>Drops a cluster; false when there is none or loaded adapters use it.</summary>
    public bool TryRemoveCluster(string clusterKey) => _parts.Bases.TryRemove(clusterKey);

    /// <summary>
    /// Leases an adapter for one request, copied to the device first if it is not there. The copy is made off the thread of the
    /// steps, which go on; while running and waiting sequences use all room, the adapter waits, in order of arrival.
    /// </summary>
    /// <exception cref="InvalidAdapterException">The adapter does not fit the model, its cluster or the pool, or its cluster is not loaded.</exception>
    /// <exception cref="OperationCanceledException">Cancelled before there was room.</exception>
    /// <exception cref="ObjectDisposedException">The engine ended.</exception>
    public async Task<ResidentAdapter> LoadAdapterAsync(AdapterWeights weights, CancellationToken cancellationToken = default)
    {
        RefuseBesideMerged(weights.Id);
        return await _parts.Slots.LoadAsync(weights, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Like <see cref="LoadAdapterAsync"/>, but copies on the calling thread and does not wait for room.</summary>
    /// <exception cref="InvalidAdapterException">The adapter does not fit the model, its cluster or the pool, or its cluster is not loaded.</exception>
    /// <exception cref="AdapterSlotsExhaustedException">There is no room now.</exception>
    public ResidentAdapter LoadAdapter(AdapterWeights weights)
    {
        RefuseBesideMerged(weights.Id);
        return _parts.Slots.Load(weights);
    }

    /// <summary>Finds out whether an adapter could be loaded if there were room, without loading it.</summary>
    /// <exception cref="InvalidAdapterException">It does not fit the model, its cluster or the pool, or its cluster is not loaded.</exception>
    public void RequireLoadable(AdapterWeights weights)
    {
        RefuseBesideMerged(weights.Id);
        _parts.Slots.RequireLoadable(weights);
    }

    /// <summary>Leases an adapter for one request if it is on the device.</summary>
    public bool TryAcquire(string id, string version, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ResidentAdapter? adapter) =>
        _parts.Slots.TryAcquire(id, version, out adapter);

    /// <summary>Takes an adapter out of service: no new leases; its slot is freed when running sequences have ended. False when it is not loaded.</summary>
    public bool UnloadAdapter(string id, string version) => _parts.Slots.Unload(id, version);

    /// <summary>Runs one step: schedule, run, sample, commit. False when there was nothing to do.</summary>
    public bool Step()
    {
        using var inference = torch.inference_mode();
        using var scope = torch.NewDisposeScope();
        long began = Stopwatch.GetTimestamp();
        TakeInbox();
        FinishAborted();
        ContinueHeld();
        Schedule();
        if (_batch.Count == 0)
            return _held.Wait();
        try
        {
            RunModel();
            SampleAndCommit();
        }
        catch (Exception e)
        {
            // The batch shares one pass, so all of it is affected; whoever was not scheduled goes on.
            foreach (ScheduledSequence scheduled in _batch)
                Fail(scheduled.Sequence, e);
        }

        Metrics.StepEnded(began);
        Volatile.Write(ref _steps, _steps + 1);
        return true;
    }

    /// <summary>Limits torch's threads for the calling thread, which is about to run the steps.</summary>
    internal void BindThread() => torch.set_num_threads(_parts.TorchThreads);

    /// <summary>Frees the model's memory. Call when no step runs.</summary>
    public void Dispose() => _parts.Dispose();

    /// <summary>Queues a sequence and takes over its adapter lease. Thread-safe.</summary>
    /// <exception cref="EngineOverloadedException">The waiting queue has no room, or none for this caller.</exception>
    /// <exception cref="ArgumentException">The prompt is empty, too long, or has ids outside the vocabulary.</exception>
    internal Sequence Submit(GenerationRequest request, ChannelWriter<GenerationEvent> events)
    {
        RefuseInvalid(request);
        var sequence = new Sequence(
            request,
            _pool,
            events,
            new TokenSampler(request.Sampling, Config.VocabularySize, Tokenizer.EosId, Tokenizer.ExtraEosIds, request.PromptIds),
            new OutputText(Tokenizer, request.Sampling));
        _room.Enter(sequence.Caller);
        try
        {
            request.Adapter?.Transfer();
        }
        catch
        {
            _room.Leave(sequence.Caller);
            throw;
        }

        Metrics.Accepted(sequence);
        _inbox.Enqueue(sequence);
        return sequence;
    }

    /// <summary>Asks for a sequence's end; it is gone within one step, wherever it stands. Thread-safe.</summary>
    internal void Abort(Sequence sequence) => _aborts.Enqueue(sequence);

    /// <summary>Ends everything that waits or runs. Engine thread only.</summary>
    internal void AbortAll()
    {
        TakeInbox();
        foreach (Sequence sequence in _scheduler.Running.Concat(_scheduler.Waiting).ToList())
            Finish(sequence, new GenerationFinished(sequence.Output.Flush(), FinishReason.Abort));
    }

    /// <summary>Fails everything that waits or runs: the engine itself is broken. Engine thread only.</summary>
    internal void FailAll(Exception reason)
    {
        TakeInbox();
        foreach (Sequence sequence in _scheduler.Running.Concat(_scheduler.Waiting).ToList())
            Fail(sequence, reason);
    }

    /// <exception cref="InvalidOperationException">Queues, blocks or slots contradict each other.</exception>
    internal void Check()
    {
        _scheduler.Check();
        _parts.Slots.Check();
    }

    /// <summary>Runs a prompt and a few tokens through every code path, so that the first request does not pay for it.</summary>
    private void WarmUp()
    {
        var ignored = Channel.CreateUnbounded<GenerationEvent>();
        var sampling = new SamplingParams { MaxTokens = 4, Temperature = 0, IgnoreEos = true };
        int length = Math.Clamp(MaxModelLength - 4, 1, 100);
        foreach (int prompt in (int[])[length, 1])
        {
            Submit(new GenerationRequest("warm-up", new int[prompt], sampling), ignored.Writer);
            while (Step())
            {
            }
        }

        _steps = _promptTokens = _generatedTokens = 0;
        Metrics = new EngineMetrics(MaxModelLength);
        _scheduler.ResetCounts();
    }

    private void RefuseBesideMerged(string adapter)
    {
        if (MergedAdapter is { } merged)
            throw new InvalidAdapterException($"adapter '{adapter}' cannot be served: '{merged}' is merged into the weights");
    }

    private void RefuseInvalid(GenerationRequest request)
    {
        int length = request.PromptIds.Count;
        if (length == 0)
            throw new ArgumentException($"request '{request.Id}' has an empty prompt");
        if (length > MaxModelLength)
            throw new ArgumentException($"request '{request.Id}' has {length} prompt tokens; this engine holds {MaxModelLength}");
        foreach (int id in request.PromptIds)
        {
            if ((uint)id >= (uint)Config.VocabularySize)
                throw new ArgumentException($"request '{request.Id}' has the prompt token {id}; the vocabulary has {Config.VocabularySize}");
        }
    }

    private void TakeInbox()
    {
        while (_inbox.TryDequeue(out Sequence? sequence))
        {
            // It may have been aborted before it got here.
            if (sequence.Status != SequenceStatus.Finished)
                _scheduler.Add(sequence);
        }
    }

    private void FinishAborted()
    {
        while (_aborts.TryDequeue(out Sequence? sequence))
            Finish(sequence, new GenerationFinished("", FinishReason.Abort));
    }

    /// <summary>Chooses tokens that waited for what their output constraint allows.</summary>
    private void ContinueHeld()
    {
        foreach (var (sequence, logits) in _held.TakeReady())
            Use(sequence, sequence.Tokens.Count - 1, logits);
    }

    private void Schedule()
    {
        _batch.Clear();
        _batch.AddRange(_scheduler.Schedule());
        foreach (ScheduledSequence scheduled in _batch)
            MarkStarted(scheduled.Sequence);

        // Rows of one cluster must be neighbours, and of one adapter for its private parts; the base model's rows come first.
        _batch.Sort((a, b) => string.CompareOrdinal(a.Sequence.Cluster?.Key, b.Sequence.Cluster?.Key) is not 0 and var order
            ? order
            : a.Sequence.AdapterSlot.CompareTo(b.Sequence.AdapterSlot));
    }

    private void RunModel()
    {
        _input.Clear();
        foreach (ScheduledSequence scheduled in _batch)
        {
            Sequence sequence = scheduled.Sequence;
            bool chooses = scheduled.ReachesEnd && sequence.Request.Sampling.MaxTokens > 0;
            _input.Add(scheduled, allLogits: sequence.Scorer is { Done: false }, lastLogits: chooses);
        }

        long began = Stopwatch.GetTimestamp();
        _parts.Model.Forward(_input, _parts.Cache, _parts.Slots.BeginStep());
        Metrics.ModelEnded(began);
        Metrics.Stepped(_input.Rows);
        foreach (ScheduledSequence scheduled in _batch)
            _scheduler.Commit(scheduled);
    }

    private void SampleAndCommit()
    {
        int group = _parts.Model.LogitGroup, owner = 0;
        for (int first = 0; first < _input.LogitRows.Count; first += group)
        {
            int count = Math.Min(group, _input.LogitRows.Count - first);
            long began = Stopwatch.GetTimestamp();
            _parts.Model.Logits(_input, first, count);
            Metrics.ModelEnded(began);
            for (int i = 0; i < count; i++)
            {
                int row = _input.LogitRows[first + i];
                while (row >= _input.Sequences[owner].FirstRow + _input.Sequences[owner].Rows)
                    owner++;
                Use(_batch[owner].Sequence, _input.Positions[row], _parts.Model.LogitsOf(i));
            }
        }

        foreach (ScheduledSequence scheduled in _batch)
            FinishScored(scheduled.Sequence);
    }

    /// <summary>Takes the logits that follow the token at a position: to score the prompt, and to choose the next token at the end.</summary>
    private void Use(Sequence sequence, int position, ReadOnlySpan<float> logits)
    {
        if (sequence.Status == SequenceStatus.Finished)
            return;
        try
        {
            sequence.Scorer?.Score(position, logits);
            ReportScores(sequence);
            if (position == sequence.Tokens.Count - 1 && sequence.Request.Sampling.MaxTokens > 0)
            {
                if (sequence.Sampler.IsReady)
                    Continue(sequence, logits);
                else
                    _held.Hold(sequence, logits);
            }
        }
        catch (Exception e)
        {
            Fail(sequence, e);
        }
    }

    private void Continue(Sequence sequence, ReadOnlySpan<float> logits)
    {
        SampledToken token = sequence.Sampler.Sample(logits);
        OutputStep output = sequence.Output.Append(token.TokenId, token.Ends);
        sequence.Append(token.TokenId);
        Volatile.Write(ref _generatedTokens, _generatedTokens + 1);
        Metrics.Generated(sequence);
        sequence.Events.TryWrite(new TokenGenerated(token.TokenId, output.Text, token.Logprobs));
        if (output.Finish is { } reason)
            Finish(sequence, new GenerationFinished(sequence.Output.Flush(), reason, output.StopTokenId, output.StopString));
        else if (sequence.Generated >= sequence.Request.Sampling.MaxTokens || sequence.Tokens.Count >= MaxModelLength)
            Finish(sequence, new GenerationFinished(sequence.Output.Flush(), FinishReason.Length));
    }

    /// <summary>A request for zero tokens ends when its prompt is through.</summary>
    private void FinishScored(Sequence sequence)
    {
        if (sequence.Status == SequenceStatus.Finished || sequence.Request.Sampling.MaxTokens > 0 || sequence.Remaining > 0)
            return;
        ReportScores(sequence);
        Finish(sequence, new GenerationFinished("", FinishReason.Length));
    }

    private static void ReportScores(Sequence sequence)
    {
        if (sequence.Scorer?.TakeReport() is { } scores)
            sequence.Events.TryWrite(new PromptScored(scores));
    }

    private void Finish(Sequence sequence, GenerationFinished finished)
    {
        if (!End(sequence, finished.Reason))
            return;
        sequence.Events.TryWrite(finished with { CachedPromptTokens = sequence.CachedPromptTokens ?? 0 });
        sequence.Events.TryComplete();
    }

    private void Fail(Sequence sequence, Exception reason)
    {
        if (End(sequence, reason: null))
            sequence.Events.TryComplete(new GenerationFailedException(sequence.Request.Id, reason));
    }

    /// <summary>Frees blocks and slot; false when it had ended before.</summary>
    /// <param name="reason">Null for a failure.</param>
    private bool End(Sequence sequence, FinishReason? reason)
    {
        if (!_scheduler.Finish(sequence))
            return false;
        Metrics.Ended(sequence, reason);
        if (!sequence.Started)
            _room.Leave(sequence.Caller);
        sequence.Request.Adapter?.ReleaseTransferred();
        return true;
    }

    private void MarkStarted(Sequence sequence)
    {
        if (sequence.Started)
            return;
        sequence.Started = true;
        Metrics.Started(sequence);
        _room.Leave(sequence.Caller);
        Volatile.Write(ref _promptTokens, _promptTokens + sequence.PromptLength);
    }
}
