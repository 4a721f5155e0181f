using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Hosting;
using Eigengate.ComputeNode.Streaming;
using Eigengate.Inference.Tokenization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode.Responses;

/// <summary>Writes the response of one completion request, whole or as a stream, from the events of its sequences.</summary>
internal sealed class CompletionAnswer
{
    private readonly CompletionPlan _plan;
    private readonly string _id;
    private readonly string _model;
    private readonly long _created;
    private readonly ChoiceBuilder[] _choices;

    /// <param name="plan">The request.</param>
    /// <param name="tokenizer">Gives the texts of tokens.</param>
    /// <param name="id">Response id.</param>
    /// <param name="model">Public name of what answers.</param>
    /// <param name="created">Unix seconds.</param>
    public CompletionAnswer(CompletionPlan plan, Tokenizer tokenizer, string id, string model, long created)
    {
        _plan = plan;
        _id = id;
        _model = model;
        _created = created;
        _choices = [.. Enumerable.Range(0, plan.Sequences).Select(index => new ChoiceBuilder(index, plan.Request, plan.PromptOf(index), tokenizer))];
    }

    public int CompletionTokens => _choices.Sum(choice => choice.CompletionTokens);

    /// <summary>For the log: how many choices ended for which reason.</summary>
    public string Outcome => string.Join(", ", _choices.GroupBy(choice => choice.FinishReason ?? "failed").Select(reason => $"{reason.Count()} {reason.Key}"));

    private Usage TotalUsage => Usage.Of(_plan.PromptTokens, CompletionTokens);

    public async Task RespondAsync(SequenceGroup group, HttpResponse response, CancellationToken cancel)
    {
        await foreach (var (index, next) in group.ReadAsync(cancel))
            _choices[index].Add(next);
        var body = new CompletionResponse
        {
            Id = _id,
            Created = _created,
            Model = _model,
            Choices = [.. _choices.Select(choice => choice.Build())],
            Usage = TotalUsage,
        };
        await response.WriteAsJsonAsync(body, NodeJson.Wire.CompletionResponse, cancellationToken: cancel);
    }

    /// <summary>From here on the status is 200: a failure becomes an event (spec/http-api.md §3.4).</summary>
    public async Task StreamAsync(SequenceGroup group, HttpContext context, ILogger logger, CancellationToken cancel)
    {
        SseWriter events = SseWriter.Start(context.Response);
        try
        {
            await foreach (var (index, next) in group.ReadAsync(cancel))
            {
                if (_choices[index].Add(next))
                    await events.WriteAsync(ChunkOf(_choices[index]), NodeJson.Wire.CompletionChunk, cancel);
            }

            if (_plan.Request.IncludeUsage)
                await events.WriteAsync(Chunk([], TotalUsage), NodeJson.Wire.CompletionChunk, cancel);
        }
        catch (Exception e) when (!cancel.IsCancellationRequested)
        {
            await events.WriteAsync(ErrorResponses.ErrorOf(e, context, logger).Body, NodeJson.Wire.ErrorBody, cancel);
        }

        await events.WriteDoneAsync(cancel);
    }

    private CompletionChunk ChunkOf(ChoiceBuilder choice) =>
        Chunk([choice.TakeChunk()], _plan.Request.ContinuousUsage ? Usage.Of(choice.PromptTokens, choice.CompletionTokens) : null);

    private CompletionChunk Chunk(IReadOnlyList<CompletionChunkChoice> choices, Usage? usage) =>
        new() { Id = _id, Created = _created, Model = _model, Choices = choices, Usage = usage };
}
