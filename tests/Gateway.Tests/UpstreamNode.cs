using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Eigengate.Gateway.Tests;

/// <summary>A real HTTP server in the place of a compute node. It answers what a test tells it to, by default its own name.</summary>
internal sealed class UpstreamNode : IAsyncDisposable
{
    private readonly WebApplication _app;

    private UpstreamNode(string id, RequestDelegate? answer)
    {
        Id = id;
        Answer = answer ?? SayName;
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        builder.Logging.ClearProviders();
        _app = builder.Build();
        _app.Run(HandleAsync);
    }

    public string Id { get; }

    public string Url => _app.Urls.Single();

    public RequestDelegate Answer { get; set; }

    /// <summary>Every request that arrived, with its body.</summary>
    public ConcurrentQueue<Received> Requests { get; } = [];

    public static async Task<UpstreamNode> StartAsync(string id, RequestDelegate? answer = null)
    {
        var node = new UpstreamNode(id, answer);
        await node._app.StartAsync(TestContext.Current.CancellationToken);
        return node;
    }

    /// <summary>Stops at once, as a killed process does.</summary>
    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    /// <summary>Cuts the connection without an answer.</summary>
    public static Task Die(HttpContext context)
    {
        context.Abort();
        return Task.CompletedTask;
    }

    public static async Task WriteEventAsync(HttpContext context, string data)
    {
        if (!context.Response.HasStarted)
            context.Response.ContentType = "text/event-stream";
        await context.Response.WriteAsync($"data: {data}\n\n", context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    private Task SayName(HttpContext context) => context.Response.WriteAsJsonAsync(new { node = Id });

    private async Task HandleAsync(HttpContext context)
    {
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        var headers = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        Requests.Enqueue(new Received(context.Request.Path, body, headers));
        await Answer(context);
    }

    internal sealed record Received(string Path, string Body, IReadOnlyDictionary<string, string> Headers);
}
