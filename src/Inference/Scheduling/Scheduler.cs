using Eigengate.Inference.KvCache;

namespace Eigengate.Inference.Scheduling;

/// <summary>
/// Owns the queues and decides what runs next. Running sequences go first, one token each while decoding; what is left of
/// the token budget goes to prompts, in chunks, in the order of <see cref="WaitingQueue"/>. When blocks run out the youngest
/// running sequence of the worst priority is preempted: it gives up its blocks and is computed again later, so nothing fails midway.
/// </summary>
/// <param name="window">Positions that a row looks at at most in any layer, its own included; blocks before it are let go.</param>
internal sealed class Scheduler(KvBlockPool pool, int maxRunning, int tokenBudget, int window = int.MaxValue)
{
    private readonly WaitingQueue _waiting = new();
    private readonly List<Sequence> _running = [];
    private readonly List<ScheduledSequence> _scheduled = [];

    /// <summary>Preempted sequences included.</summary>
    public IReadOnlyCollection<Sequence> Waiting => _waiting;

    /// <summary>In order of admission.</summary>
    public IReadOnlyList<Sequence> Running => _running;

    public long Preemptions { get; private set; }

    /// <summary>Tokens of sequences that began to run while prefixes are kept.</summary>
    public long PrefixQueries { get; private set; }

    /// <summary>How many of these were in the cache.</summary>
    public long PrefixHits { get; private set; }

    /// <summary>Starts all counts again from zero.</summary>
    public void ResetCounts() => Preemptions = PrefixQueries = PrefixHits = 0;

    public void Add(Sequence sequence)
    {
        sequence.Status = SequenceStatus.Waiting;
        _waiting.Add(sequence);
    }

    /// <summary>Chooses the next step's tokens and reserves their KV blocks. Empty only when there is nothing to compute. Valid until the next call.</summary>
    public IReadOnlyList<ScheduledSequence> Schedule()
    {
        _scheduled.Clear();
        int budget = ContinueRunning(tokenBudget, out bool preempted);
        if (!preempted)
            AdmitWaiting(budget);
        return _scheduled;
    }

    /// <summary>Records that the scheduled tokens are in the cache.</summary>
    public void Commit(ScheduledSequence scheduled)
    {
        Sequence sequence = scheduled.Sequence;
        sequence.Computed += scheduled.Tokens;
        sequence.Blocks.KeepPrefix(sequence.TokenSpan, sequence.Computed);
        DropUnseen(sequence.Blocks, sequence.Computed);
    }

    /// <summary>Ends a sequence wherever it stands and frees its blocks; false when it had ended before.</summary>
    public bool Finish(Sequence sequence)
    {
        switch (sequence.Status)
        {
            case SequenceStatus.Finished:
                return false;
            case SequenceStatus.Running:
                _running.Remove(sequence);
                break;
            default:
                _waiting.Remove(sequence);
                break;
        }

        sequence.Status = SequenceStatus.Finished;
        WaitingQueue.Settle(sequence);
        sequence.Blocks.Release();
        return true;
    }

    /// <exception cref="InvalidOperationException">Queues, statuses and blocks contradict each other.</exception>
    public void Check()
    {
        pool.Check(_running.Concat(_waiting).Select(s => s.Blocks));
        if (_running.Any(s => s.Status != SequenceStatus.Running) || _waiting.Any(s => s.Status != SequenceStatus.Waiting))
            throw new InvalidOperationException("a sequence is in the wrong queue");
        if (_waiting.Any(s => s.Blocks.Count > 0 || s.Computed > 0))
            throw new InvalidOperationException("a waiting sequence holds KV blocks");
        if (_running.Count > maxRunning)
            throw new InvalidOperationException($"{_running.Count} sequences run; at most {maxRunning} may");
        if (_running.Any(s => s.Blocks.Count < pool.BlocksFor(s.Computed)))
            throw new InvalidOperationException("a running sequence has more computed tokens than its blocks hold");
    }

    private int ContinueRunning(int budget, out bool preempted)
    {
        preempted = false;
        for (int i = 0; i < _running.Count && budget > 0;)
        {
            Sequence sequence = _running[i];
            int tokens = Math.Min(sequence.Remaining, budget);
            // Its last token is computed and the next one not chosen yet.
            if (tokens == 0)
            {
                i++;
                continue;
            }

            while (sequence.Status == SequenceStatus.Running && !sequence.Blocks.TryReserve(sequence.Computed + tokens))
            {
                Preempt(Victim(first: i));
                preempted = true;
            }

            // It may itself have had to go; then the next one stands here.
            if (sequence.Status != SequenceStatus.Running)
                continue;
            _scheduled.Add(new ScheduledSequence(sequence, tokens));
            budget -= tokens;
            i++;
        }

        return budget;
    }

    private void AdmitWaiting(int budget)
    {
        while (budget > 0 && _running.Count < maxRunning && _waiting.Peek() is { } sequence)
        {
            // Room for every known token, not just this chunk: a prompt that starts should also finish.
            int cached = sequence.Blocks.SharePrefix(sequence.TokenSpan, sequence.Skippable);
            DropUnseen(sequence.Blocks, cached);
            if (BlocksToCome(sequence) > pool.Free)
            {
                sequence.Blocks.Release();
                return;
            }

            sequence.Computed = cached;
            CountPrefix(sequence);
            int tokens = Math.Min(sequence.Remaining, budget);
            if (!sequence.Blocks.TryReserve(cached + tokens))
                throw new InvalidOperationException($"sequence '{sequence.Request.Id}' was admitted without room for its first step");
            _waiting.Admit(sequence);
            _running.Add(sequence);
            sequence.Status = SequenceStatus.Running;
            _scheduled.Add(new ScheduledSequence(sequence, tokens));
            budget -= tokens;
        }
    }

    /// <summary>Blocks that a sequence will hold in addition to what it has until its known tokens are computed.</summary>
    private long BlocksToCome(Sequence sequence)
    {
        // At once: a chunk of at most the budget and the window before it, beginning and ending anywhere in a block.
        long most = (((long)window + tokenBudget) / pool.BlockSize) + 2;
        return Math.Min(pool.BlocksFor(sequence.Tokens.Count) - sequence.Blocks.Count, most - sequence.Blocks.Held.Length);
    }

    /// <param name="computed">Where the next row stands.</param>
    private void DropUnseen(KvBlockTable blocks, int computed)
    {
        if (window < computed)
            blocks.DropBefore(computed + 1 - window);
    }

    /// <summary>Once a sequence: what it finds again after preemption is its own.</summary>
    private void CountPrefix(Sequence sequence)
    {
        if (sequence.CachedPromptTokens is not null || !pool.KeepsPrefixes)
            return;
        sequence.CachedPromptTokens = sequence.Computed;
        PrefixQueries += sequence.Tokens.Count;
        PrefixHits += sequence.Computed;
    }

    /// <summary>Of the worst priority the youngest, which has lost the least, among those that have no tokens in this step yet.</summary>
    private Sequence Victim(int first)
    {
        Sequence victim = _running[^1];
        for (int i = _running.Count - 2; i >= first; i--)
        {
            if (_running[i].Request.Priority > victim.Request.Priority)
                victim = _running[i];
        }

        return victim;
    }

    private void Preempt(Sequence sequence)
    {
        _running.Remove(sequence);
        sequence.Blocks.Release();
        sequence.Computed = 0;
        sequence.Status = SequenceStatus.Waiting;
        _waiting.PutBack(sequence);
        Preemptions++;
    }
}
