using System.Text.Json;
using Eigengate.ComputeNode.Adapters;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Hosting;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Responses;
using Eigengate.Inference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode.Endpoints;

/// <summary><c>POST /v1/completions</c> (spec/http-api.md §5): parse, resolve the model, encode, generate, answer.</summary>
internal sealed class CompletionsEndpoint(
    ServedModel model,
    AdapterCatalog catalog,
    AdapterLoader loader,
    NodeResources resources,
    NodeActivity activity,
    RequestLimits limits,
    TimeProvider time,
    ILogger<CompletionsEndpoint> logger)
{
    private readonly EngineLoop _loop = resources.Loop;

    public async Task HandleAsync(HttpContext context)
    {
        using IDisposable visit = activity.Enter();
        long started = time.GetTimestamp();
        CancellationToken cancel = context.RequestAborted;

        CompletionRequest request = await ReadAsync(context, cancel);
        PinnedAdapter? adapter = await catalog.ResolveAsync(context.Request.Headers, request.Model, cancel);
        CompletionPlan plan = CompletionPlan.Create(request, model, _loop.Engine.Options.MaxWaiting);
        string servedAs = adapter?.Id ?? ServedName(request);
        var answer = new CompletionAnswer(plan, model.Tokenizer, $"cmpl-{context.TraceIdentifier}", servedAs, time.GetUtcNow().ToUnixTimeSeconds());
        TimeSpan? firstEvent = null;
        try
        {
            using AdapterLeases? leases = adapter is null ? null : await AdapterLeases.AcquireAsync(loader, adapter, plan.Sequences, cancel);
            IReadOnlyList<GenerationRequest> sequences = plan.ToSequences(context.TraceIdentifier, leases?.Leases);
            await using SequenceGroup group = await SequenceGroup.StartAsync(sequences, _loop.GenerateAsync, activity.Ending, cancel);
            firstEvent = time.GetElapsedTime(started);
            if (request.Stream)
                await answer.StreamAsync(group, context, logger, cancel);
            else
                await answer.RespondAsync(group, context.Response, cancel);
            Log(answer.Outcome);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            Log("cancelled by the client");
            throw;
        }

        // What was refused or failed is logged where it becomes an error response.
        void Log(string outcome) => logger.LogInformation(
            "Request {RequestId}: {Model}, version {Version}, {PromptTokens} prompt and {CompletionTokens} completion tokens in {Choices} choices, {Outcome}, first event after {FirstMs:0} ms, total {TotalMs:0} ms",
            context.TraceIdentifier, servedAs, adapter?.Version ?? "base", plan.PromptTokens, answer.CompletionTokens, plan.Sequences, outcome,
            firstEvent?.TotalMilliseconds, time.GetElapsedTime(started).TotalMilliseconds);
    }

    private async Task<CompletionRequest> ReadAsync(HttpContext context, CancellationToken cancel)
    {
        using JsonDocument body = await RequestBody.ReadAsync(context.Request, cancel);
        RequestId.Adopt(context, new JsonFields(body.RootElement));
        return CompletionRequest.Read(body.RootElement, limits);
    }

    private string ServedName(CompletionRequest request) => string.IsNullOrEmpty(request.Model) ? model.Name : request.Model;
}

internal static class CompletionsRoute
{
    public static void MapCompletions(this IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/completions", (RequestDelegate)routes.ServiceProvider.GetRequiredService<CompletionsEndpoint>().HandleAsync);
}
