using System.Collections.Concurrent;
using System.Diagnostics;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Metrics;

/// <summary>
/// What sequences took and how they ended, since load. Written by the engine as things happen, without locks, and per token
/// without allocation; readable from any thread. Every choice of a request counts as a sequence of its own, as in vLLM.
/// </summary>
/// <param name="maxModelLength">Context length in tokens.</param>
public sealed class EngineMetrics(int maxModelLength)
{
    private readonly ConcurrentDictionary<Sequence, byte> _live = new();
    private readonly long[] _finished = new long[Enum.GetValues<FinishReason>().Length];
    private long _failed;
    private long _stepTicks;
    private long _modelTicks;

    /// <summary>Seconds from <see cref="GenerationRequest.Arrived"/> to the first token.</summary>
    public Histogram TimeToFirstToken { get; } = new(Buckets.FirstToken);

    /// <summary>Seconds from each token of a sequence to its next.</summary>
    public Histogram InterTokenLatency { get; } = new(Buckets.BetweenTokens);

    /// <summary>Seconds per token after the first, the mean of a sequence; of sequences with at least two.</summary>
    public Histogram TimePerOutputToken { get; } = new(Buckets.BetweenTokens);

    /// <summary>Seconds from arrival to the end.</summary>
    public Histogram EndToEnd { get; } = new(Buckets.Request);

    /// <summary>Seconds from arrival to the first step.</summary>
    public Histogram Queue { get; } = new(Buckets.Request);

    /// <summary>Seconds from the first step to the first token.</summary>
    public Histogram Prefill { get; } = new(Buckets.Request);

    /// <summary>Seconds from the first token to the last.</summary>
    public Histogram Decode { get; } = new(Buckets.Request);

    /// <summary>Seconds from the first step to the end.</summary>
    public Histogram Inference { get; } = new(Buckets.Request);

    public Histogram PromptTokens { get; } = new(Buckets.Tokens(maxModelLength));

    public Histogram GeneratedTokens { get; } = new(Buckets.Tokens(maxModelLength));

    /// <summary>Most tokens that a sequence was allowed to generate.</summary>
    public Histogram MaxTokens { get; } = new(Buckets.Tokens(maxModelLength));

    /// <summary>Tokens computed in a step, prompts and outputs together.</summary>
    public Histogram StepTokens { get; } = new(Buckets.StepTokens);

    /// <summary>Time in steps that computed something: scheduling, the model, sampling, reporting.</summary>
    public TimeSpan StepTime => Stopwatch.GetElapsedTime(0, Volatile.Read(ref _stepTicks));

    /// <summary>The part of it that the model's kernels took, adapters and logits included.</summary>
    public TimeSpan ModelTime => Stopwatch.GetElapsedTime(0, Volatile.Read(ref _modelTicks));

    /// <summary>Sequences that ended by failure of the engine.</summary>
    public long Failed => Volatile.Read(ref _failed);

    /// <summary>Sequences that ended for this reason.</summary>
    public long Finished(FinishReason reason) => Volatile.Read(ref _finished[(int)reason]);

    /// <summary>Ids of the adapters that running and waiting sequences use.</summary>
    public (IReadOnlySet<string> Running, IReadOnlySet<string> Waiting) AdaptersInUse()
    {
        HashSet<string> running = [], waiting = [];
        foreach (var (sequence, _) in _live)
        {
            if (sequence.Request.Adapter is { } adapter)
                (sequence.Status == SequenceStatus.Running ? running : waiting).Add(adapter.Id);
        }

        return (running, waiting);
    }

    internal void Accepted(Sequence sequence) => _live.TryAdd(sequence, 0);

    internal void Started(Sequence sequence)
    {
        long now = Stopwatch.GetTimestamp();
        sequence.Times.Scheduled = now;
        Queue.Observe(Seconds(sequence.Request.Arrived, now));
    }

    /// <param name="began">A <see cref="Stopwatch"/> timestamp.</param>
    internal void StepEnded(long began) => Volatile.Write(ref _stepTicks, _stepTicks + Stopwatch.GetTimestamp() - began);

    /// <inheritdoc cref="StepEnded"/>
    internal void ModelEnded(long began) => Volatile.Write(ref _modelTicks, _modelTicks + Stopwatch.GetTimestamp() - began);

    internal void Stepped(int tokens) => StepTokens.Observe(tokens);

    internal void Generated(Sequence sequence)
    {
        long now = Stopwatch.GetTimestamp();
        ref SequenceTimes times = ref sequence.Times;
        if (times.FirstToken is null)
        {
            times.FirstToken = now;
            TimeToFirstToken.Observe(Seconds(sequence.Request.Arrived, now));
            Prefill.Observe(Seconds(times.Scheduled!.Value, now));
        }
        else
        {
            InterTokenLatency.Observe(Seconds(times.LastToken, now));
        }

        times.LastToken = now;
    }

    /// <param name="reason">Null for a failure.</param>
    internal void Ended(Sequence sequence, FinishReason? reason)
    {
        if (!_live.TryRemove(sequence, out _))
            return;
        Interlocked.Increment(ref reason is { } known ? ref _finished[(int)known] : ref _failed);
        PromptTokens.Observe(sequence.PromptLength);
        GeneratedTokens.Observe(sequence.Generated);
        MaxTokens.Observe(sequence.Request.Sampling.MaxTokens);
        ObserveTimes(sequence, Stopwatch.GetTimestamp());
    }

    /// <summary>A sequence that was aborted early is absent from the phases it never came to.</summary>
    private void ObserveTimes(Sequence sequence, long end)
    {
        SequenceTimes times = sequence.Times;
        EndToEnd.Observe(Seconds(sequence.Request.Arrived, end));
        if (times.Scheduled is not { } scheduled)
            return;
        Inference.Observe(Seconds(scheduled, end));
        if (times.FirstToken is not { } first)
            return;
        double decode = Seconds(first, times.LastToken);
        Decode.Observe(decode);
        if (sequence.Generated > 1)
            TimePerOutputToken.Observe(decode / (sequence.Generated - 1));
    }

    private static double Seconds(long from, long to) => (double)(to - from) / Stopwatch.Frequency;
}
