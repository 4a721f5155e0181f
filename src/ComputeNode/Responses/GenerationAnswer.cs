using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Hosting;
using Eigengate.ComputeNode.Streaming;
using Eigengate.Inference.Tokenization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode.Responses;

/// <summary>Writes the answer to one request, whole or as a stream, from the events of its sequences.</summary>
/// <param name="plan">The request.</param>
/// <param name="tokenizer">Gives the texts of tokens.</param>
/// <param name="format">The endpoint's way to write it.</param>
/// <param name="reportsCached">Usage says how many prompt tokens came from the prefix cache.</param>
internal sealed class GenerationAnswer(GenerationPlan plan, Tokenizer tokenizer, IAnswerFormat format, bool reportsCached)
{
    private readonly ChoiceBuilder[] _choices = [.. Enumerable.Range(0, plan.Sequences).Select(index => new ChoiceBuilder(index, plan, tokenizer))];

    public int CompletionTokens => _choices.Sum(choice => choice.CompletionTokens);

    /// <summary>Tokens of each choice so far.</summary>
    public IEnumerable<int> TokensByChoice => _choices.Select(choice => choice.CompletionTokens);

    /// <summary>For the log: how many choices ended for which reason.</summary>
    public string Outcome => string.Join(", ", _choices.GroupBy(choice => choice.FinishReason ?? "failed").Select(reason => $"{reason.Count()} {reason.Key}"));

    private Usage TotalUsage => Usage.Of(plan.PromptTokens, CompletionTokens) with
    {
        PromptTokensDetails = reportsCached ? new PromptTokensDetails(CachedPromptTokens) : null,
    };

    /// <summary>Every prompt once, like its tokens: what its first choice found, not what the others found of that one.</summary>
    private int CachedPromptTokens => _choices.Chunk(plan.Fields.N).Sum(choices => choices.Min(choice => choice.CachedPromptTokens));

    public async Task RespondAsync(SequenceGroup group, HttpResponse response, CancellationToken cancel)
    {
        await foreach (var (index, next) in group.ReadAsync(cancel))
            _choices[index].Add(next);
        await format.WriteAsync(response, [.. _choices.Select(choice => choice.Take())], TotalUsage, cancel);
    }

    /// <summary>From here on the status is 200: a failure becomes an event (spec/http-api.md §3.4).</summary>
    public async Task StreamAsync(SequenceGroup group, HttpContext context, ILogger logger, CancellationToken cancel)
    {
        SseWriter events = SseWriter.Start(context.Response);
        try
        {
            foreach (ChoiceBuilder choice in _choices)
                await format.WriteStartAsync(events, choice.Index, UsageOf(choice), cancel);
            await foreach (var (index, next) in group.ReadAsync(cancel))
            {
                if (_choices[index].Add(next))
                    await format.WritePieceAsync(events, _choices[index].Take(), UsageOf(_choices[index]), cancel);
            }

            if (plan.Fields.IncludeUsage)
                await format.WriteUsageAsync(events, TotalUsage, cancel);
        }
        catch (Exception e) when (!cancel.IsCancellationRequested)
        {
            await events.WriteAsync(ErrorResponses.ErrorOf(e, context, logger).Body, NodeJson.Wire.ErrorBody, cancel);
        }

        await events.WriteDoneAsync(cancel);
    }

    /// <summary>Of one choice so far, where events carry usage.</summary>
    private Usage? UsageOf(ChoiceBuilder choice) => plan.Fields.ContinuousUsage ? Usage.Of(choice.PromptTokens, choice.CompletionTokens) : null;
}
