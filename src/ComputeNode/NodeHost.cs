using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Adapters;
using Eigengate.ComputeNode.Endpoints;
using Eigengate.ComputeNode.Hosting;
using Eigengate.ComputeNode.Metrics;
using Eigengate.Inference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode;

/// <summary>A running compute node: one engine behind an HTTP server, announced in the index.</summary>
public sealed class NodeHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly NodeResources _resources;

    private NodeHost(WebApplication app, NodeResources resources)
    {
        _app = app;
        _resources = resources;
    }

    /// <summary>Where it listens, with the real port.</summary>
    public string Url => _app.Urls.First();

    /// <summary>Its id in the index.</summary>
    public string NodeId => _resources.Record.Id;

    public EngineStats Stats => _resources.Loop.Stats;

    /// <summary>Generation requests being answered.</summary>
    public int RequestsInFlight => Activity.InFlight;

    /// <summary>Shutdown has begun: new requests get 503.</summary>
    public bool IsDraining => Activity.IsDraining;

    private NodeActivity Activity => _app.Services.GetRequiredService<NodeActivity>();

    /// <summary>Loads everything, listens, and announces the node. Nothing is announced when any of it fails.</summary>
    /// <param name="options">What to serve and where.</param>
    /// <param name="logging">Adds to or replaces the console log.</param>
    /// <param name="cancel">Gives up the start.</param>
    /// <exception cref="NodeStartException">An option, folder or file is not what was expected.</exception>
    /// <exception cref="IndexUnavailableException">The index does not answer.</exception>
    /// <exception cref="IOException">The address is taken.</exception>
    public static async Task<NodeHost> StartAsync(NodeOptions options, Action<ILoggingBuilder>? logging = null, CancellationToken cancel = default)
    {
        options.Validate();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        logging?.Invoke(builder.Logging);
        builder.WebHost.UseUrls(options.Urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.Limits.MaxBodyBytes;
        });
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.DrainPeriod + TimeSpan.FromSeconds(10));

        using ILoggerFactory loading = LoggerFactory.Create(log => logging?.Invoke(log.AddConsole()));
        NodeResources resources = await NodeResources.LoadAsync(options, loading.CreateLogger<NodeHost>(), cancel);
        AddServices(builder.Services, options, resources);
        WebApplication app = builder.Build();
        try
        {
            Map(app);
            await app.StartAsync(cancel);
            return new NodeHost(app, resources);
        }
        catch
        {
            await app.DisposeAsync();
            await resources.DisposeAsync();
            throw;
        }
    }

    /// <summary>Returns when the process is asked to end (Ctrl-C, SIGTERM) or the token is cancelled, after draining.</summary>
    public Task WaitForShutdownAsync(CancellationToken cancel = default) => _app.WaitForShutdownAsync(cancel);

    /// <summary>Withdraws, drains, and stops listening.</summary>
    public Task StopAsync(CancellationToken cancel = default) => _app.StopAsync(cancel);

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        await _resources.DisposeAsync();
    }

    private static void AddServices(IServiceCollection services, NodeOptions options, NodeResources resources)
    {
        services.AddSingleton(options);
        services.AddSingleton(resources);
        services.AddSingleton(resources.Model);
        services.AddSingleton(options.Limits);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<NodeActivity>();
        services.AddSingleton<RequestMetrics>();
        services.AddSingleton(new AdapterCatalog(resources.Model, resources.Follower, resources.Record));
        services.AddSingleton(new AdapterLoader(resources.Index, resources.Loop.Engine, options.AdapterLoadTimeout));
        services.AddSingleton<GenerationHandler>();
        services.AddHostedService<NodeHeartbeat>();
    }

    private static void Map(WebApplication app)
    {
        app.UseRequestIds();
        app.UseErrorResponses(app.Services.GetRequiredService<ILogger<NodeHost>>());
        app.MapGeneration();
        app.MapModels();
        app.MapTokenization();
        app.MapHealth();
        app.MapVersion();
        app.MapLoad();
        app.MapMetrics();
    }
}
