namespace Eigengate.Inference;

/// <summary>A snapshot after a step.</summary>
/// <param name="Running">Sequences in the batch.</param>
/// <param name="Waiting">Sequences not yet started, or preempted.</param>
/// <param name="Steps">Steps run since load.</param>
/// <param name="PromptTokens">Prompt tokens of all accepted requests that began to run.</param>
/// <param name="GeneratedTokens">Tokens produced since load.</param>
/// <param name="Preemptions">Times a running sequence gave up its blocks.</param>
/// <param name="PrefixCacheQueries">Prompt tokens that were looked up in the prefix cache.</param>
/// <param name="PrefixCacheHits">Prompt tokens that were found there and not computed again.</param>
public readonly record struct EngineStats(
    int Running,
    int Waiting,
    int KvBlocksUsed,
    int KvBlocks,
    int AdapterSlotsUsed,
    int AdapterSlots,
    long Steps,
    long PromptTokens,
    long GeneratedTokens,
    long Preemptions,
    long PrefixCacheQueries,
    long PrefixCacheHits);
