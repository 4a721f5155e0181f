using System.Diagnostics;
using System.Text.Json;
using Eigengate.ComputeNode.Adapters;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Hosting;
using Eigengate.ComputeNode.Metrics;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Responses;
using Eigengate.Inference;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary>What every generating endpoint does: parse, resolve the model, encode, generate, answer.</summary>
internal sealed class GenerationHandler(
    ServedModel model,
    AdapterCatalog catalog,
    AdapterLoader loader,
    NodeResources resources,
    NodeActivity activity,
    RequestMetrics metrics,
    NodeOptions options,
    TimeProvider time,
    ILoggerFactory logging)
{
    private readonly ILogger _log = logging.CreateLogger(NodeHost.RequestLog);
    private readonly EngineLoop _loop = resources.Loop;

    /// <param name="context">The request.</param>
    /// <param name="read">Reads the endpoint's body.</param>
    /// <param name="format">Shapes the endpoint's answer.</param>
    public async Task HandleAsync(
        HttpContext context,
        Func<JsonElement, RequestLimits, IGenerationInput> read,
        Func<GenerationPlan, AnswerHeader, IAnswerFormat> format)
    {
        using IDisposable visit = activity.Enter();
        long arrived = Stopwatch.GetTimestamp();
        CancellationToken cancel = context.RequestAborted;

        IGenerationInput input = await ReadAsync(context, read, cancel);
        PinnedAdapter? adapter = await catalog.ResolveAsync(context.Request.Headers, input.Fields.Model, cancel);
        GenerationPlan plan = await GenerationPlan.CreateAsync(input, model, _loop.Engine.Options.MaxWaitingOfOneCaller, cancel);
        var header = new AnswerHeader(context.TraceIdentifier, adapter?.Id ?? BaseName(input.Fields.Model), time.GetUtcNow().ToUnixTimeSeconds());
        var answer = new GenerationAnswer(plan, model.Tokenizer, format(plan, header), options.PromptTokensDetails);
        TimeSpan? firstEvent = null;
        try
        {
            using AdapterLeases? leases = adapter is null ? null : await AcquireAsync(adapter, plan.Sequences, cancel);
            IReadOnlyList<GenerationRequest> sequences = plan.ToSequences(context.TraceIdentifier, arrived, leases?.Leases, CallerOf(context));
            await using SequenceGroup group = await SequenceGroup.StartAsync(sequences, _loop.GenerateAsync, activity.Ending, cancel);
            firstEvent = Stopwatch.GetElapsedTime(arrived);
            if (plan.Fields.Stream)
                await answer.StreamAsync(group, context, _log, cancel);
            else
                await answer.RespondAsync(group, context.Response, cancel);
            End(answer.Outcome);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            End("cancelled by the client");
            throw;
        }

        // What was refused or failed is logged where it becomes an error response.
        void End(string outcome)
        {
            metrics.Ended(plan, answer);
            _log.LogInformation(
                "Request {RequestId}: {Model}, version {Version}, {PromptTokens} prompt and {CompletionTokens} completion tokens in {Choices} choices, {Outcome}, first event after {FirstMs:0} ms, total {TotalMs:0} ms",
                context.TraceIdentifier, header.Model, adapter?.Version ?? "base", plan.PromptTokens, answer.CompletionTokens, plan.Sequences, outcome,
                firstEvent?.TotalMilliseconds, Stopwatch.GetElapsedTime(arrived).TotalMilliseconds);
        }
    }

    /// <summary>As the gateway says, or the address of a client that came without one.</summary>
    private static string CallerOf(HttpContext context) =>
        context.Request.Headers[RoutingHeaders.Caller] is [{ } caller] && CallerId.IsValid(caller) ? caller : CallerId.OfAddress(context.Connection.RemoteIpAddress);

    private async Task<AdapterLeases> AcquireAsync(PinnedAdapter adapter, int count, CancellationToken cancel)
    {
        using IDisposable wait = metrics.AwaitAdapter(adapter.Id, count);
        return await AdapterLeases.AcquireAsync(loader, adapter, count, cancel);
    }

    private async Task<IGenerationInput> ReadAsync(HttpContext context, Func<JsonElement, RequestLimits, IGenerationInput> read, CancellationToken cancel)
    {
        using JsonDocument body = await RequestBody.ReadAsync(context.Request, cancel);
        RequestId.Adopt(context, new JsonFields(body.RootElement));
        return read(body.RootElement, options.Limits);
    }

    private string BaseName(string? requested) => string.IsNullOrEmpty(requested) ? model.Name : requested;
}
